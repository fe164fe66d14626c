from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from common.records import EndReason
from envs.contract.calls import Call, render
from envs.contract.env import Done, State, Turn
from envs.contract.replay import play, texts
from envs.oversight.answers import CLINICAL, read_record, record
from envs.oversight.attribution import FEATURES, MODEL, shapley
from envs.oversight.stratified import Stratum, adjusted_difference, odds_ratio, p_value
from envs.oversight.tools import FLAG, SUBMIT, TOOLS
from envs.oversight.trial import Patient
from tests.envs.oversight.strategies import game, task, trial

ENV, TASK = game("hard"), task("hard", 1)
TRIAL = trial("hard", 5).trial
NAMES = [one["proposal_id"] for one in TASK.task.context["proposals"]]
PATIENTS = [one["subject"] for one in TASK.task.context["proposals"]]


def asked(*calls: Call) -> list[str]:
    """What the calls are answered in one episode."""
    state: State
    state, _ = ENV.begin(TASK.task)
    said = []
    for call in calls:
        state, after = ENV.advance(state, render(call))
        said.append(after.messages[0].content if isinstance(after, Turn) else str(after))
    return said


def ask(name: str, **arguments: object) -> Call:
    return Call(name=name, arguments=arguments)


def flag(proposal_id: str) -> Call:
    return ask(FLAG, proposal_id=proposal_id, error_type="invalid_age", clause="4.1", field="age", value=None)


def test_there_are_eight_tools_with_schemas_of_their_arguments() -> None:
    assert len(TOOLS) == 8 == len({tool.name for tool in TOOLS})
    for tool in TOOLS:
        Draft202012Validator.check_schema(tool.parameters)
        assert tool.parameters["additionalProperties"] is False and tool.parameters["required"]
    required = next(tool for tool in TOOLS if tool.name == FLAG).parameters["required"]
    assert required == ["proposal_id", "error_type", "clause", "field", "value"]


def test_a_record_shows_every_field_in_two_parts_and_is_read_back() -> None:
    patient = TRIAL.patients[0]
    both = f"{record(patient)}, {record(patient, CLINICAL)}"
    shown = dict(part.split(" ", 1) for part in both.split(", "))
    fields = msgspec.structs.asdict(patient)
    del fields["patient_id"]
    assert shown == {name: "-" if value is None else str(value) for name, value in fields.items()}
    read = read_record(record(patient))
    assert all(getattr(read, name) == getattr(patient, name) for name in read.__struct_fields__)
    assert read_record(record(patient.but(age=None))).age is None


def test_the_tools_answer_with_facts() -> None:
    review, whole, part, dates, shap, cohort = asked(
        ask("review_proposal", proposal_id=NAMES[0]),
        ask("investigate_patient", patient_id=PATIENTS[0]),
        ask("investigate_patient", patient_id=PATIENTS[0], part="clinical"),
        ask("temporal_audit", patient_id=PATIENTS[0]),
        ask("request_shap", patient_id=PATIENTS[0], feature="stage"),
        ask("cohort_analysis", feature="site", outcome="death"),
    )
    assert review.startswith(f'{PATIENTS[0]}: "') and "Cites" in review
    assert whole.startswith("age ") and "comorbidity_index" in whole and part.startswith("country ")
    assert "days after enrolment" in dates and "violation" not in dates
    assert "to the log-odds of death, rank" in shap
    assert "treatment: 40 patients; other" in cohort and "odds ratio" in cohort


def test_decisions_are_recorded_once_and_never_judged() -> None:
    said = asked(*(flag(name) for name in NAMES), flag(NAMES[0]), ask("approve", proposal_id=NAMES[1]))
    count = len(NAMES)
    assert said[:count] == [f"Recorded, {at} of {count}." for at in range(1, count + 1)]
    assert said[count:] == [
        f"{NAMES[0]} was decided in call 1; that decision counts.",
        f"{NAMES[1]} was decided in call 2; that decision counts.",
    ]


def test_a_question_asked_again_and_an_unknown_name_are_answered_shortly() -> None:
    again = ask("request_shap", feature="age", patient_id=PATIENTS[0])
    said = asked(ask("request_shap", patient_id=PATIENTS[0], feature="age"), again, again)
    assert said[1:] == ["You asked this in call 1."] * 2
    assert asked(
        ask("review_proposal", proposal_id="PROP-099"),
        ask("approve", proposal_id="PROP-099"),
        ask("temporal_audit", patient_id="P0999"),
    ) == ["There is no proposal PROP-099.", "There is no proposal PROP-099.", "There is no patient P0999."]


def test_the_report_ends_the_audit() -> None:
    assert asked(ask(SUBMIT, findings=[], bias="none")) == [str(Done())]


def test_the_judging_mode_of_the_source_says_what_the_dates_mean() -> None:
    labelled, env = task("hard", 1), game("hard", temporal="verdict")
    kinds = {one["of_patient"]: one["wrong"] for one in labelled.label.truth["findings"].values()}
    state, _ = env.begin(labelled.task)
    for patient, wrong in kinds.items():
        state, after = env.advance(state, render(ask("temporal_audit", patient_id=patient)))
        assert isinstance(after, Turn)
        bad = wrong not in ("", "invalid_age")
        assert ("a violation" in after.messages[0].content) == bad


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 79), st.permutations(FEATURES))
def test_a_shapley_value_is_what_a_feature_adds_in_any_order(number: int, order: list[str]) -> None:
    """By its definition: the mean prediction over the cohort, as the patient's own values are filled in one by one."""
    patients, patient = TRIAL.patients, TRIAL.patients[number]

    def mean(known: list[str]) -> float:
        return sum(
            sum(weight * value(patient if name in known else other) for name, (weight, value) in MODEL.items())
            for other in patients
        ) / len(patients)

    at = order.index("stage")
    added = mean(order[: at + 1]) - mean(order[:at])
    assert shapley(patients, patient)["stage"] == pytest.approx(added)


def test_the_comparison_adjusted_by_stage_against_values_worked_by_hand() -> None:
    strata = [Stratum(a=8, n1=20, b=4, n0=30), Stratum(a=6, n1=10, b=10, n0=40)]
    above, below = 8 * 26 / 50 + 6 * 30 / 50, 4 * 12 / 50 + 10 * 4 / 50
    assert odds_ratio(strata) == pytest.approx(above / below)
    difference = ((8 * 30 - 4 * 20) / 50 + (6 * 40 - 10 * 10) / 50) / (20 * 30 / 50 + 10 * 40 / 50)
    assert adjusted_difference(strata) == pytest.approx(difference)
    expected = 20 * 12 / 50 + 10 * 16 / 50
    variance = 20 * 30 * 12 * 38 / (50**2 * 49) + 10 * 40 * 16 * 34 / (50**2 * 49)
    chi_square = (14 - expected) ** 2 / variance
    assert p_value(strata) == pytest.approx(math.erfc(math.sqrt(chi_square / 2)))


def test_a_comparison_without_two_groups_finds_nothing() -> None:
    alone = [Stratum(a=3, n1=10, b=0, n0=0)]
    assert (adjusted_difference(alone), odds_ratio(alone), p_value(alone)) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize("tier", ["duo", "easy", "medium", "hard"])
def test_no_answer_to_a_perfect_audit_has_a_word_of_judgement(tier: str) -> None:
    env, labelled = game(tier), task(tier, 2)
    episode = play(env, labelled.task, env.oracle(labelled, random.Random(0)))
    shown = " ".join(texts(env, labelled.task, episode))
    for word in ("CORRECT", "correct", "FALSE", "MISSED", "score", "wrong", "violation"):
        assert word not in shown
    assert episode.reason == EndReason.SUBMITTED


def test_the_fields_of_a_patient_have_no_comma_that_would_split_a_record() -> None:
    for patient in TRIAL.patients:
        assert not any("," in str(getattr(patient, name)) for name in Patient.__struct_fields__)
