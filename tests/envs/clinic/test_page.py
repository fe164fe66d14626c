from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from markupsafe import escape

from common.records import Completion, EndReason, Group, LabelledTask, Rollout, Step
from deploy.report import rollout_log
from deploy.report.episodes_page import write_page
from envs.clinic.domains import DOMAINS
from envs.clinic.environment import Clinic
from envs.clinic.page import CaseView, played
from envs.clinic.page_case import answer_lines, lines_of
from envs.clinic.report import ClinicReport
from envs.clinic.spec import ClinicSettings
from envs.clinic.tasks import world_of_label
from envs.clinic.world import Bed, Medication, Patient, World
from envs.contract.page_view import Shown
from envs.contract.replay import play, texts

ENV = Clinic(ClinicSettings.model_validate({"domains": list(DOMAINS)}), 0)


def shown(labelled: LabelledTask) -> Shown:
    return Shown(context=json.dumps(labelled.task.context), truth=json.dumps(labelled.label.truth))


def oracle(labelled: LabelledTask) -> tuple[str, ...]:
    return play(ENV, labelled.task, ENV.oracle(labelled, random.Random(0))).actions


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_every_call_is_an_event_with_its_turn_and_its_minute(domain: str) -> None:
    labelled = ENV.release_task(f"{domain}_001")
    actions = oracle(labelled)
    moments, world = played(ENV.kit(labelled.task), world_of_label(labelled.label), ["Hm.", *actions])
    assert [one.turn for one in moments if one.event.actor == "agent"] == list(range(2, len(actions) + 2))
    assert [one.minutes for one in moments] == sorted(one.minutes for one in moments) and moments[0].minutes == 0
    assert [one.event for one in moments] == list(world.events)
    beside = CaseView().beside(shown(labelled), actions)
    assert beside.count("<tr>") == 1 + len(actions) and "flag" not in beside


def test_what_was_refused_and_which_rule_was_broken_is_marked_and_all_text_is_escaped() -> None:
    labelled = ENV.release_task("triage_emergency_001")
    patient = labelled.task.context["world"]["patients"][0]["patient_id"]
    given = f'give_now(patient_id="{patient}", drug="paracetamol", dose_mg=4000)'
    found = CaseView().beside(shown(labelled), ['vitals(patient_id="P1")', given, "<b>no call"])
    assert '<tr class="lacking"><td>0</td><td>1</td><td><strong>vitals, refused</strong>' in found
    assert "drug paracetamol, dose mg 4000" in found and '<p class="flag">over dose, severity 5</p>' in found
    diagnosis = ENV.release_task("clinical_diagnosis_001")
    patient = diagnosis.task.context["world"]["patients"][0]["patient_id"]
    note = f'write_note(patient_id="{patient}", text="<script>{"x" * 200}")'
    escaped = CaseView().beside(shown(diagnosis), [note])
    assert "<script>" not in escaped and "&lt;script&gt;" in escaped and "…" in escaped


def test_calls_in_json_are_read_too() -> None:
    env = Clinic(ClinicSettings.model_validate({"domains": list(DOMAINS), "call_syntax": "hermes"}), 0)
    labelled = env.release_task("ehr_management_001")
    actions = play(env, labelled.task, env.oracle(labelled, random.Random(0))).actions
    assert CaseView().beside(shown(labelled), actions).count("<tr>") == 1 + len(actions)


def test_the_page_of_a_run_has_the_timeline_beside_the_turns(tmp_path: Path) -> None:
    labelled = ENV.release_task("clinical_diagnosis_002")
    episode = play(ENV, labelled.task, ENV.oracle(labelled, random.Random(0)))
    steps = tuple(Step(completion=_said(text), observed=(1,)) for text in episode.actions)
    rollout = Rollout(steps=steps, episode=episode, reward=ENV.score(episode, labelled.label))
    group = Group(labelled=labelled, prompt_ids=(7,), rollouts=(rollout,), doctor="doctor-0")
    readings = {group.task_id: [()]}
    rollout_log.write_step(tmp_path, 1, 3, [group], lambda task, one: texts(ENV, task, one), readings)
    rollout_log.publish_step(tmp_path, 1)
    page = write_page(tmp_path, {"clinic": ClinicReport()}).read_text()
    assert page.count('<table class="timeline">') == 1 and "<strong>submit diagnosis</strong>" in page
    assert episode.reason == EndReason.SUBMITTED and page.index('class="beside"') < page.index("Turn 1,")


def _said(text: str) -> Completion:
    return Completion(
        text=text, token_ids=(1, 2), logps=(-0.5, -0.5), versions=(3, 3), finish_reason="stop", engine="engines-0"
    )


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_a_case_shows_all_that_can_be_found_out_and_the_answer_as_lines(domain: str) -> None:
    labelled = ENV.release_task(f"{domain}_003")
    found = CaseView().task(shown(labelled))
    (patient,) = world_of_label(labelled.label).patients
    assert all(escape(one.text) in found for one in patient.said)
    assert all(f"{one.value:g} {one.unit}".strip() in found for one in patient.readings)
    assert all(f"takes {one.drug}," in found for one in patient.medications)
    assert "{" not in found and "[" not in found and len(found.splitlines()) > 5


def test_what_stops_and_what_is_empty_is_said() -> None:
    drug = Medication(drug="a", dose_mg=5, route="oral", every_h=12, start_min=60, stop_min=1500, hadm_id="H1")
    patient = Patient(patient_id="P1", age_months=400, sex="F", weight_kg=60, height_cm=160, medications=(drug,))
    beds = (Bed(area="acute", number=1, taken=True), Bed(area="acute", number=2))
    lines = lines_of(World(clock_min=0, patients=(patient,), beds=beds))
    assert lines == ["takes a, 5 mg oral every 12 h from day 1 01:00 to day 2 01:00", "free beds: 1 of 2"]
    assert answer_lines({"a_b": [1, "x"], "c": {}, "d": None, "e": False, "f": {"g": []}}) == [
        "a b: 1, x",
        "e: no",
        "f: g -",
    ]


def test_an_episode_without_an_event_says_so_and_an_unsafe_one_is_not_half_right() -> None:
    labelled = ENV.release_task("triage_emergency_001")
    assert "No event" in CaseView().beside(shown(labelled), ["Hm.", "Hm."])
    view = CaseView()
    assert [view.standing(reason, 0.02, False) for reason in ("wrong", "unsafe", "partly_right")] == ["bad"] * 2 + [
        "part"
    ]
    assert view.standing("right", 1.0, True) == "good"
