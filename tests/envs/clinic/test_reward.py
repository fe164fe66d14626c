from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.records import EndReason, Reward
from envs.clinic.domain import Grade, Violation, Weights
from envs.clinic.reward import PARTS, reward_of, weights_of
from envs.clinic.spec import WeightsSpec
from envs.clinic.world import AGENT, REFUSED, Patient, World
from envs.contract.calls import Call, Fault, FaultCode

WEIGHTS = Weights(accuracy=0.25, format=0.15, process=0.30, safety=0.30)
WORLD = World(clock_min=0, patients=(Patient(patient_id="P1", age_months=500, sex="F", weight_kg=60, height_cm=165),))
CALL, FAULT = Call(name="look", arguments={}), Fault(code=FaultCode.NO_CALL, text="")
SHARE = st.floats(0, 1)


def reward(grade: Grade, calls: tuple[Call | Fault, ...] = (CALL,), gate: float = 0.05, world: World = WORLD) -> Reward:
    return reward_of(WEIGHTS, gate, grade, calls, world, EndReason.SUBMITTED)


@given(
    accuracy=SHARE,
    process=SHARE,
    safety=SHARE,
    coherence=st.none() | SHARE,
    severities=st.lists(st.integers(1, 5), max_size=3),
    calls=st.lists(st.sampled_from((CALL, FAULT)), min_size=1, max_size=5),
    gate=SHARE,
)
def test_every_reward_is_between_0_and_1_and_below_its_cap(
    accuracy: float,
    process: float,
    safety: float,
    coherence: float | None,
    severities: list[int],
    calls: list[Call | Fault],
    gate: float,
) -> None:
    violations = tuple(Violation(rule="rule", severity=one) for one in severities)
    grade = Grade(accuracy=accuracy, process=process, safety=safety, coherence=coherence, violations=violations)
    found = reward(grade, tuple(calls), gate)
    assert 0 <= found.total <= (0.1 if 5 in severities else 0.4 if 4 in severities else 1 + 1e-9)
    assert sum(found.components.values()) == pytest.approx(found.total)


def test_a_perfect_episode_earns_1_and_each_part_its_weight() -> None:
    assert reward(Grade(accuracy=1, process=1, safety=1)).total == 1
    assert reward(Grade(accuracy=1, process=0, safety=1)).total == pytest.approx(0.7)
    assert reward(Grade(accuracy=1, process=1, safety=0)).total == pytest.approx(0.7)
    assert reward(Grade(accuracy=1, process=1, safety=1), (CALL, FAULT)).total == pytest.approx(0.925)


def test_after_a_wrong_answer_the_other_parts_are_worth_the_gate() -> None:
    assert reward(Grade(accuracy=0, process=1, safety=1)).total == pytest.approx(0.05 * 0.75)
    assert reward(Grade(accuracy=0, process=1, safety=1), gate=0).total == 0


@pytest.mark.parametrize("reason", [one for one in EndReason if one != EndReason.SUBMITTED])
def test_an_episode_without_an_answer_earns_nothing(reason: EndReason) -> None:
    found = reward_of(WEIGHTS, 0.05, Grade(accuracy=1, process=1, safety=1), (CALL,), WORLD, reason)
    assert (found.total, found.reason, found.solved) == (0, str(reason), False)


@pytest.mark.parametrize(("severity", "most"), [(5, 0.1), (4, 0.4), (3, 1.0), (1, 1.0)])
def test_a_severe_violation_caps_the_whole_and_no_violation_is_solved(severity: int, most: float) -> None:
    violations = (Violation(rule="rule", severity=severity),)
    found = reward(Grade(accuracy=1, process=1, safety=1, violations=violations))
    assert found.total == most and not found.solved


def test_a_refused_call_is_badly_formed() -> None:
    refused = WORLD.noting(REFUSED, actor=AGENT, tool="look")
    assert reward(Grade(accuracy=1, process=1, safety=1), (CALL, CALL), world=refused).total == pytest.approx(0.925)


@pytest.mark.parametrize("part", PARTS)
def test_a_weight_of_the_spec_is_honoured(part: str) -> None:
    """Each part alone at 1 earns its weight's share, before and after the change."""
    changed = weights_of(WEIGHTS, WeightsSpec.model_validate({part: 0.6}))
    assert getattr(changed, part) == 0.6
    assert all(getattr(changed, one) == getattr(WEIGHTS, one) for one in PARTS if one != part)
    grade = Grade(**{one: float(one in (part, "accuracy")) for one in PARTS if one != "format"})
    calls = (CALL,) if part in ("format", "accuracy") else (FAULT,)
    before = reward_of(WEIGHTS, 1, grade, calls, WORLD, EndReason.SUBMITTED)
    after = reward_of(changed, 1, grade, calls, WORLD, EndReason.SUBMITTED)
    assert after.components[part] > before.components[part]
