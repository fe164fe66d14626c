from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.finite import group_fault, number_fault, reward_fault, sampled_fault
from common.records import Completion, Group, Reward, Sampled
from simulator.rollouts import labelled, one_turn, rewarded

BAD = (math.nan, math.inf, -math.inf)


def completion(*logps: float, engine: str = "engines-0") -> Completion:
    count = len(logps)
    return Completion(
        text="", token_ids=range(count), logps=logps, versions=[0] * count, finish_reason="stop", engine=engine
    )


def group(*completions: Completion, reward: Reward | None = None) -> Group:
    rollouts = tuple(one_turn(one, reward or rewarded(1.0)) for one in completions)
    return Group(labelled=labelled("t7"), prompt_ids=(1,), rollouts=rollouts, doctor="d")


@pytest.mark.parametrize("bad", BAD)
def test_a_log_prob_that_is_no_number_is_named_by_task_episode_turn_token_and_engine(bad: float) -> None:
    sound, broken = completion(-0.1, -0.2), completion(-0.1, bad)
    assert group_fault(group(sound, broken)) == (
        f"task t7, episode 1, turn 0: the log-prob of token 1 from engine engines-0 is {bad}"
    )
    assert group_fault(group(sound, sound)) == ""
    assert str(bad) in sampled_fault(Sampled(prompt_ids=(1,), completions=(sound, broken)))


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("field", ["total", "components", "potentials", "figures"])
def test_a_reward_that_holds_no_number_is_named_by_its_field(bad: float, field: str) -> None:
    wrong = {"total": bad, "components": {"outcome": bad}, "potentials": (0.0, bad), "figures": {"skill": bad}}
    reward = msgspec.structs.replace(rewarded(1.0), **{field: wrong[field]})
    said = {"total": "the total", "components": "the component outcome", "potentials": "potential 1"}
    assert reward_fault(reward) == f"{said.get(field, 'the figure skill')} is {bad}"
    assert group_fault(group(completion(-0.1), reward=reward)).startswith("task t7, episode 0: ")


@given(st.dictionaries(st.text(), st.floats() | st.none(), max_size=5))
def test_numbers_have_a_fault_exactly_when_one_is_not_finite(named: dict[str, float | None]) -> None:
    wrong = any(value is not None and not math.isfinite(value) for value in named.values())
    assert bool(number_fault(named)) == wrong
