from __future__ import annotations

import asyncio
import random
from functools import cache
from statistics import fmean
from typing import Any

import msgspec
import pytest

from common.records import LabelledTask
from envs.clinic.diagnosis.cases import Answer
from envs.clinic.diagnosis.guidelines import GUIDELINES, applying
from envs.clinic.diagnosis.tools import WHOLE
from envs.clinic.environment import Clinic
from envs.clinic.guidelines import Action, Recommendation, compliance
from envs.clinic.instruments import use
from envs.clinic.spec import ClinicSettings
from envs.clinic.tasks import truth_of, world_at_start
from envs.clinic.world import World
from envs.conformance.baselines import SILENT
from envs.contract.replay import play

ENV = Clinic(ClinicSettings.model_validate({"domains": ["clinical_diagnosis"]}), 0)
TOOLS = {one.tool.name: one for one in WHOLE}
GIVEN, READ = Action(kind="give", payload={"drug": "a"}), Action(kind="labs", payload={"codes": "k"})


def world(*events: tuple[int, str, dict[str, Any]]) -> World:
    made = World(clock_min=0, patients=())
    for at, kind, payload in events:
        made = msgspec.structs.replace(made, clock_min=at).noting(kind, actor="agent", **payload)
    return made


def recommendation(**more: Any) -> Recommendation:
    return Recommendation(name="r", says="", wants=(GIVEN,), **more)


GIVE = ("give", {"drug": "a"})
LABS = ("labs", {"codes": ["k", "na"]})


@pytest.mark.parametrize(
    ("rec", "events", "met"),
    [
        (recommendation(), [(5, *GIVE)], True),
        (recommendation(), [(5, "give", {"drug": "b"})], False),
        (recommendation(), [], False),
        (recommendation(within_min=10), [(0, "look", {}), (10, *GIVE)], True),
        (recommendation(within_min=10), [(0, "look", {}), (11, *GIVE)], False),
        (recommendation(before=(READ,)), [(5, *GIVE), (5, *LABS)], True),
        (recommendation(before=(READ,)), [(5, *LABS), (6, *GIVE)], False),
        (recommendation(before=(READ,)), [(5, *GIVE)], True),
        (recommendation(never=True), [(5, *LABS)], True),
        (recommendation(never=True), [(5, *GIVE)], False),
    ],
)
def test_a_recommendation_is_met_by_what_was_done_when_and_in_which_order(
    rec: Recommendation, events: list[tuple[int, str, dict[str, Any]]], met: bool
) -> None:
    assert rec.met(world(*events)) is met


def test_compliance_weighs_critical_ones_and_is_not_known_where_nothing_applies() -> None:
    some = (recommendation(critical=True), Recommendation(name="k", says="", wants=(READ,)))
    assert compliance((), world()) is None
    found = compliance(some, world((0, *GIVE)))
    assert found is not None and (found.met, found.missed) == (("r",), ("k",))
    assert found.score == pytest.approx(0.6 + 0.4 / 2)
    only = compliance(some[1:], world((0, *LABS)))
    assert only is not None and only.score == 1


@cache
def tasks() -> tuple[LabelledTask, ...]:
    slots = [ENV.plan(index) for index in range(400)]
    made = [asyncio.run(ENV.propose(slot, random.Random(slot.seed), SILENT)) for slot in slots]
    return tuple(one for one in made if isinstance(one, LabelledTask))


def answer(labelled: LabelledTask) -> Answer:
    return msgspec.convert(truth_of(labelled.label).answer, Answer)


def test_the_oracle_meets_every_recommendation_that_applies_and_who_does_nothing_few() -> None:
    nothing, applied = list[float](), set[str]()
    for one in tasks():
        recommended = tuple(applying(world_at_start(one.task), answer(one)))
        if recommended:
            _, end = ENV.graded(play(ENV, one.task, ENV.oracle(one, random.Random(0))), one.label)
            found = compliance(recommended, end)
            assert found is not None and found.missed == (), (answer(one).diagnosis, found.missed)
            idle = compliance(recommended, world_at_start(one.task))
            assert idle is not None
            nothing.append(idle.score)
            applied |= {rec.name for rec in recommended}
    assert fmean(nothing) < 0.15
    every = {rec.name for guideline in GUIDELINES for _, rec in guideline.parts}
    assert every == applied and len(GUIDELINES) == 9


def after(labelled: LabelledTask, *calls: tuple[str, dict[str, Any]]) -> float:
    about = {"patient_id": world_at_start(labelled.task).patients[0].patient_id}
    end = world_at_start(labelled.task)
    for name, arguments in calls:
        end = use(end, TOOLS[name], {**about, **arguments}).world
    return ENV._domain(labelled).grade(end, truth_of(labelled.label)).figures["guidelines"]


def test_an_ecg_that_comes_late_and_words_about_aspirin_do_not_count() -> None:
    one = next(one for one in tasks() if answer(one).diagnosis == "I21.19" and answer(one).gives == "aspirin")
    ecg, aspirin = ("ecg", {}), ("give_drug", {"drug": "aspirin"})
    wait = ("order_study", {"study": "echo"})
    call, labs = ("call_specialist", {"specialty": "cardiology"}), ("order_labs", {"codes": ["troponin_t_3h"]})
    assert after(one, ecg, aspirin, call, labs) == 1
    late = after(one, wait, ecg, aspirin, call, labs)
    assert late == pytest.approx(0.6 * 2 / 3 + 0.4 * 4 / 5)
    assert after(one, ecg, ("write_note", {"text": "Give aspirin."}), call, labs) == pytest.approx(late)
    assert after(one, call, ecg, aspirin, labs) == pytest.approx(0.6 + 0.4 * 4 / 5)
    assert all(guideline.source for guideline in GUIDELINES)
