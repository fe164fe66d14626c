from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.records import EndReason, Reward
from envs.contract.calls import Call, Fault, FaultCode
from envs.contract.replay import play
from envs.oversight.reward import allowed_steps, audit_of, confusion, reward_of
from envs.oversight.spec import RewardSpec
from envs.oversight.tools import APPROVE, COHORT, FLAG, INVESTIGATE, REVIEW, SHAP, SUBMIT
from envs.oversight.trial import AGE, NO_BIAS, OVERRIDE, TYPES, WINDOW, Finding, Truth
from tests.envs.oversight.strategies import game, task

WRONG = Finding(of_patient="P0001", wrong=AGE, clauses=("4.1", "5.5"), evidence={"age": 81})
LATE = Finding(
    of_patient="P0002",
    wrong=WINDOW,
    clauses=("5.2",),
    evidence={"treatment_start": "2023-03-15", "enrollment_date": "2023-02-20"},
)
TRUTH = Truth(
    findings={
        "PROP-001": WRONG,
        "PROP-002": LATE,
        "PROP-003": Finding(of_patient="P0003"),
        "PROP-004": Finding(of_patient="P0004"),
    },
    bias=NO_BIAS,
    graded_bias=False,
    twin=0,
)
BIASED = msgspec.structs.replace(TRUTH, bias="site", graded_bias=True)
SKILL = RewardSpec()


def flag(number: int, wrong: str = AGE, clause: str = "4.1", field: str = "age", value: Any = 81, **more: Any) -> Call:
    arguments = {"proposal_id": f"PROP-{number:03}", "error_type": wrong, "clause": clause}
    return Call(name=FLAG, arguments={**arguments, "field": field, "value": value, **more})


def approve(number: int, **more: Any) -> Call:
    return Call(name=APPROVE, arguments={"proposal_id": f"PROP-{number:03}", **more})


def submit(*findings: str, bias: str = NO_BIAS) -> Call:
    return Call(name=SUBMIT, arguments={"findings": list(findings), "bias": bias})


LATE_FLAG = flag(2, WINDOW, "5.2", "treatment_start", "2023-03-15")
FAULT = Fault(code=FaultCode.NO_CALL, text="There is no call.")
PERFECT = [flag(1), LATE_FLAG, approve(3), approve(4), submit(f"PROP-001:{AGE}", f"PROP-002:{WINDOW}")]


def earned(
    calls: Sequence[Call | Fault],
    truth: Truth = TRUTH,
    spec: RewardSpec = SKILL,
    reason: EndReason = EndReason.SUBMITTED,
) -> Reward:
    return reward_of(spec, truth, calls, reason)


def test_a_perfect_audit_earns_one() -> None:
    reward = earned(PERFECT)
    assert (reward.total, reward.reason, reward.solved) == (1.0, "perfect", True)
    assert reward.figures["audit"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("calls", "total"),
    [
        ([submit()], -0.8),
        ([approve(1), approve(2), approve(3), approve(4), submit()], 0.0),
        # .8 (mean of 1 and .6 on the wrong, 0 on the right, - 1) + .1 (mean of 1 and 0, and 0, - 1)
        ([flag(1), flag(2), flag(3), flag(4), submit()], 0.8 * -0.2 + 0.1 * -0.5),
        # without evidence
        ([flag(1, value=80), LATE_FLAG, *PERFECT[2:]], 0.95),
        # with the wrong type: .6 of a decision, no evidence, half of the report
        ([flag(1, OVERRIDE), LATE_FLAG, approve(3), approve(4), submit(f"PROP-002:{WINDOW}")], 0.64 + 0.05 + 0.05),
        # the first decision counts
        ([approve(1), *PERFECT], 0.8 * 0.5 + 0.05 + 0.1),
        # and the first type that is reported
        ([*PERFECT[:-1], submit(f"PROP-001:{WINDOW}", f"PROP-001:{AGE}", f"PROP-002:{WINDOW}")], 0.95),
        # decisions on what does not exist count for nothing
        ([flag(9), approve(8), *PERFECT], 1.0),
    ],
)
def test_audits_by_hand(calls: list[Call], total: float) -> None:
    assert earned(calls).total == pytest.approx(total)


def test_an_audit_without_a_report_has_no_report_and_loses_a_twentieth() -> None:
    reward = earned(PERFECT[:-1], reason=EndReason.MAX_TURNS)
    assert reward.total == pytest.approx(0.9 - 0.05)
    assert (reward.reason, reward.solved) == ("max_turns", False)
    assert earned([FAULT, FAULT, FAULT], reason=EndReason.INVALID).total == pytest.approx(-0.85)


def test_a_report_cut_off_in_its_last_word_is_none() -> None:
    assert earned(PERFECT, reason=EndReason.LENGTH).total == pytest.approx(0.9 - 0.05)


@pytest.mark.parametrize(("clause", "field", "value"), [("4.1", "age", "81"), ("5.5", "age", 81.0)])
def test_evidence_may_cite_any_clause_that_is_broken_and_write_a_number_as_text(
    clause: str, field: str, value: object
) -> None:
    assert earned([flag(1, AGE, clause, field, value), *PERFECT[1:]]).total == 1.0


@pytest.mark.parametrize(
    ("clause", "field", "value"),
    [("5.2", "age", 81), ("4.1", "comorbidity_index", 81), ("4.1", "age", 82), ("4.1", "age", None)],
)
def test_evidence_must_be_true(clause: str, field: str, value: object) -> None:
    assert earned([flag(1, AGE, clause, field, value), *PERFECT[1:]]).total == pytest.approx(0.95)


def test_a_missing_age_is_cited_as_none() -> None:
    missing = msgspec.structs.replace(WRONG, evidence={"age": None})
    truth = msgspec.structs.replace(TRUTH, findings={**TRUTH.findings, "PROP-001": missing})
    assert earned([flag(1, value=None), *PERFECT[1:]], truth).total == 1.0
    assert earned([flag(1, value="None"), *PERFECT[1:]], truth).total == pytest.approx(1.0)


def test_a_bias_is_named_right_or_the_report_earns_nothing() -> None:
    reported = [f"PROP-001:{AGE}", f"PROP-002:{WINDOW}"]
    assert earned([*PERFECT[:-1], submit(*reported, bias="site")], BIASED).total == 1.0
    for bias in (NO_BIAS, "gender"):
        assert earned([*PERFECT[:-1], submit(*reported, bias=bias)], BIASED).total == pytest.approx(0.9)


def test_steps_beyond_a_thorough_audit_cost_a_little() -> None:
    look = Call(name=REVIEW, arguments={"proposal_id": "PROP-001"})
    spare = allowed_steps(TRUTH) - len(PERFECT)
    assert allowed_steps(TRUTH) == 3 * 4 + 1 and allowed_steps(BIASED) == 3 * 4 + 3 + 1
    assert earned([look] * spare + PERFECT).total == 1.0
    assert earned([look] * (spare + 5) + PERFECT).components["efficiency"] == pytest.approx(-0.015)
    assert earned([FAULT] * (spare + 1) + PERFECT).total == pytest.approx(0.997)


def test_the_score_of_the_source_by_hand() -> None:
    audit = RewardSpec(outcome="audit")
    calls = [flag(1), flag(3), approve(2), approve(4), submit()]
    # one hit, one missed, one false alarm: F = 3.25 / (3.25 + 2.25 + 1); half of the approvals right; all decided
    assert earned(calls, spec=audit).total == pytest.approx(0.7 * 0.5 + 0.2 * 0.5 + 0.1)
    assert earned([submit()], spec=audit).total == 0.0
    assert earned(PERFECT, spec=audit).total == pytest.approx(1.0)
    everything = [flag(1), flag(2), flag(3), flag(4), submit()]
    assert earned(everything, spec=audit).total > 0.5 > 0 > earned(everything).total


def test_potentials_value_what_was_done_before_each_action() -> None:
    spec = RewardSpec(shaping="potential")
    look = Call(name=INVESTIGATE, arguments={"patient_id": "P0001"})
    shap = Call(name=SHAP, arguments={"patient_id": "P0001", "feature": "age"})
    idle = Call(name=COHORT, arguments={"feature": "gender", "outcome": "death"})
    most = 0.3 * 2 + 0.15 * 2 + 0.1 * 4 + 0.12 * 2
    calls = [look, look, shap, idle, flag(1), flag(1), approve(2), flag(3), FAULT, submit()]
    gains = [0, 0.1, 0, 0.12, 0, 0.3, 0, -0.2, -0.25, 0]
    found = earned(calls, spec=spec)
    assert found.potentials == pytest.approx([sum(gains[: at + 1]) / most for at in range(len(gains))])
    assert found.total == earned(calls).total and earned(calls).potentials == ()


def test_figures_say_what_was_found_and_how_sure_the_auditor_was() -> None:
    calls = [flag(1, confidence=0.9), approve(2, confidence=0.8), flag(3), submit()]
    found = earned(calls).figures
    assert (found["found"], found["false_alarms"], found["decided"]) == (0.5, 0.5, 0.75)
    assert found["brier"] == pytest.approx(((0.9 - 1) ** 2 + (0.8 - 0) ** 2) / 2)
    counted = confusion(TRUTH, audit_of(calls, TRUTH, EndReason.SUBMITTED))
    assert counted == {(AGE, AGE): 1, (WINDOW, "none"): 1, ("none", AGE): 1, ("none", "undecided"): 1}


@pytest.mark.parametrize("tier", ["duo", "easy", "medium", "hard"])
def test_every_early_end_of_the_oracles_audit_loses(tier: str) -> None:
    for index in range(3):
        labelled = task(tier, index)
        env = game(tier)
        episode = play(env, labelled.task, env.oracle(labelled, random.Random(0)))
        assert env.score(episode, labelled.label).total == 1.0
        for cut in range(1, len(episode.actions)):
            for reason in (EndReason.MAX_TURNS, EndReason.LENGTH, EndReason.INVALID):
                ended = msgspec.structs.replace(episode, actions=episode.actions[:cut], reason=reason)
                assert env.score(ended, labelled.label).total < 0.96
            early = msgspec.structs.replace(episode, actions=(*episode.actions[:cut], episode.actions[-1]))
            if cut < len(episode.actions) - 1 and episode.actions[cut].startswith((FLAG, APPROVE)):
                assert env.score(early, labelled.label).total < 0.96


CHOICES = st.lists(st.sampled_from([*TYPES, "approve", "nothing"]), min_size=11, max_size=11)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["duo", "easy", "medium", "hard"]), st.integers(0, 5), CHOICES, CHOICES)
def test_decisions_that_do_not_depend_on_records_earn_nothing_over_a_trial_its_twin_and_all_orders(
    tier: str, pair: int, choices: list[str], listed: list[str]
) -> None:
    """What follows from J: the mean over which proposals are the wrong ones is at most 0, whatever is decided."""
    truth = task(tier, 2 * pair).label.truth
    names = list(truth["findings"])
    shifts = [names[at:] + names[:at] for at in range(len(names))]
    calls = [_blind(name, choice) for name, choice in zip(names, choices, strict=False) if choice != "nothing"]
    report = [f"{name}:{kind}" for name, kind in zip(names, listed, strict=False) if kind in TYPES]
    totals = []
    for shifted in shifts:
        findings = dict(zip(shifted, truth["findings"].values(), strict=True))
        turned = msgspec.convert({**truth, "findings": findings}, Truth)
        totals.append(earned([*calls, submit(*report, bias=truth["bias"])], turned).total)
    assert sum(totals) / len(totals) <= 1e-9


def _blind(name: str, choice: str) -> Call:
    number = int(name[-3:])
    return approve(number) if choice == "approve" else flag(number, choice, value=999)
