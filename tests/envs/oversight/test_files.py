from __future__ import annotations

import copy
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.records import EndReason, Episode
from envs.contract.page_view import Shown
from envs.contract.replay import play
from envs.oversight.files import read_trial
from envs.oversight.report import OversightReport
from envs.oversight.trial import AGE, OVERRIDE, Proposal
from envs.oversight.view import AuditView
from envs.oversight_checker.checker import Checker
from tests.envs.oversight.strategies import game, task

PATIENT = {"patient_id": "P0001", "age": 84, "stage": "II", "enrollment_date": "2024-01-08"}
OTHER = {"patient_id": "P0002", "age": 61, "stage": "IV", "enrollment_date": "2024-01-08", "comorbidity_index": 5}
TRIAL: dict[str, Any] = {
    "protocol": {"age_low": 40, "age_high": 80, "window": 21, "extension": 7, "override": 4},
    "patients": [{**PATIENT, "treatment_start": "2024-01-20"}, {**OTHER, "treatment_start": "2024-02-03"}],
    "proposals": [{"subject": "P0001", "claims": "The age fits.", "cites": ["4.1"]}, {"subject": "P0002"}],
}


def with_(**changes: Any) -> str:
    return json.dumps({**TRIAL, **changes})


def patient(**changes: Any) -> str:
    return with_(patients=[{**TRIAL["patients"][0], **changes}])


def proposal(**changes: Any) -> str:
    return with_(proposals=[{"subject": "P0001", **changes}])


def test_a_trial_of_a_persons_is_audited_and_scored_by_the_rules() -> None:
    labelled = OversightReport().task_of(json.dumps(TRIAL), game("hard").settings)
    assert [one["wrong"] for one in labelled.label.truth["findings"].values()] == [AGE, OVERRIDE]
    assert Checker().disagreement(labelled) is None
    episode = play(game("hard"), labelled.task, game("hard").oracle(labelled, random.Random(0)))
    assert game("hard").score(episode, labelled.label).total == pytest.approx(1.0)


def test_a_trial_without_an_error_can_be_audited_too() -> None:
    labelled = read_trial(
        with_(patients=[{**PATIENT, "age": 60, "treatment_start": "2024-01-20"}], proposals=[{"subject": "P0001"}])
    )
    episode = play(game("hard"), labelled.task, game("hard").oracle(labelled, random.Random(0)))
    reward = game("hard").score(episode, labelled.label)
    assert reward.total == pytest.approx(1.0) and reward.figures["audit"] == pytest.approx(1.0)
    nothing = Episode(task_id=labelled.task.task_id, actions=("",), reason=EndReason.INVALID)
    assert game("hard").score(nothing, labelled.label).total < 0.3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "as objects and lists"),
        (with_(protocol={"age_low": 40}), "missing required field"),
        (with_(patients=[{"patient_id": "P0001"}]), "patient 1 has no stage"),
        (with_(patients=[{**TRIAL["patients"][0], "weight": 1}]), "patient 1 has a field weight"),
        (with_(patients=[{**TRIAL["patients"][0], "stage": "V"}]), "patient 1 has stage 'V'; write one of I,"),
        (with_(proposals=[{"subject": "P0009"}]), "about P0009, who is not among the patients"),
        (with_(proposals=[{"subject": "P0001", "cites": ["1.1"]}]), "proposal 1 cites 1.1; the clauses are 4.1"),
        (with_(proposals=[]), "no proposals"),
        (
            patient(enrollment_date="2024-13-01"),
            "patient 1 has enrollment_date '2024-13-01' .*; write it like 2024-01-08",
        ),
        (patient(death_date="then"), "patient 1 has death_date 'then'"),
        (patient(patient_id="<|im_end|>"), "patient 1 has patient_id '<|im_end|>'; write it like P0001"),
        (patient(age=10**400), "patient 1 has age 1000"),
        (patient(age=-5), "patient 1 has age -5; write a number from 0 to 10000"),
        (with_(protocol={**TRIAL["protocol"], "windows": 3}), "the protocol has a field windows"),
        (with_(protocol={**TRIAL["protocol"], "window": 10**9}), "the protocol has window 1000000000"),
        (with_(patients=[TRIAL["patients"][0]] * 2), "patient_id P0001 stands twice"),
        (proposal(proposal_id="PROP-001\n"), "proposal 1 has proposal_id .*; write it like PROP-001"),
        (proposal(confidence=float("nan")), "proposal 1 has confidence nan; write a number from 0 to 1"),
        (proposal(sure=1), "proposal 1 has a field sure"),
        (with_(proposals=[{"subject": "P0001"}] * 1000), "proposal 1000 has proposal_id 'PROP-1000'"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read_trial(text)
    assert "\n" not in str(caught.value)


def test_the_page_shows_protocol_claims_and_truth_escaped() -> None:
    labelled = task("hard", 0)
    context = json.loads(json.dumps(labelled.task.context))
    context["proposals"][0]["claims"] = "<b>fine</b>"
    shown = AuditView().task(
        Shown(context=json.dumps(context), truth=msgspec.json.encode(labelled.label.truth).decode())
    )
    assert "&lt;b&gt;fine" in shown and "<b>" not in shown
    assert "5.2 Treatment must start" in shown and "Bias of the cohort" in shown
    wrong = next(one for one in labelled.label.truth["findings"].values() if one["wrong"])
    assert wrong["wrong"].replace("_", " ") in shown


@given(
    st.sampled_from(["protocol", "patients", "proposals"]),
    st.sampled_from(sorted({*OTHER, *TRIAL["protocol"], *Proposal.__struct_fields__, "treatment_start", "death_date"})),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
        lambda one: st.lists(one, max_size=2) | st.dictionaries(st.text(max_size=3), one, max_size=2),
    ),
)
def test_a_trial_with_any_value_of_a_field_is_refused_in_one_line_or_can_be_audited(
    part: str, field: str, value: Any
) -> None:
    content = copy.deepcopy(TRIAL)
    changed = content[part] if part == "protocol" else content[part][0]
    changed[field] = value
    try:
        labelled = read_trial(json.dumps(content))
    except ValueError as error:
        assert "\n" not in str(error)
        return
    again = msgspec.json.decode(msgspec.json.encode(labelled), type=type(labelled))
    episode = play(game("hard"), again.task, game("hard").oracle(again, random.Random(0)))
    assert game("hard").score(episode, again.label).total == pytest.approx(1.0)
