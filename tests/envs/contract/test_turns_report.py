from __future__ import annotations

import pytest

from common.buffer_records import StoredGroup
from common.records import Completion, EndReason, Episode, Group, Rollout, Step
from envs.contract.reports import measured
from envs.contract.turns_report import TurnsReport
from simulator.rollouts import rewarded
from tests.actors.fake_turns import turn_task


def completion(tokens: int) -> Completion:
    numbers = range(tokens)
    return Completion(
        text="x", token_ids=numbers, logps=[-1.0] * tokens, versions=[0] * tokens, finish_reason="stop", engine="e"
    )


def rollout(reason: EndReason, *steps: tuple[int, int, int], total: float = 1.0) -> Rollout:
    """Steps by sampled tokens, observed tokens and cached tokens."""
    made = tuple(Step(completion=completion(n), observed=[0] * seen, cached=cached) for n, seen, cached in steps)
    episode = Episode(task_id="task-0", actions=("x",) * len(made), reason=reason)
    return Rollout(steps=made, episode=episode, reward=rewarded(total))


def test_turns_replies_ends_and_cache_hits_are_measured_over_a_batch() -> None:
    two = rollout(EndReason.SUBMITTED, (4, 6, 0), (2, 0, 15))
    three = rollout(EndReason.MAX_TURNS, (1, 1, 0), (1, 1, 10), (1, 0, 12), total=-1.0)
    group = Group(labelled=turn_task(), prompt_ids=[7] * 10, rollouts=(two, three), doctor="d")
    stored = StoredGroup.of(group, group)
    assert (two.stats(10).later_prompt_tokens, three.stats(10).later_prompt_tokens) == (20, 12 + 14)
    assert measured({"turns": TurnsReport()}, [stored], {stored.task_id: [(), (0, 2)]}) == {
        "turns/solved_share": 0.5,
        "turns/turns": 2.5,
        "turns/calls": 1.5,
        "turns/fault_share": pytest.approx(2 / 5),
        "turns/reply_tokens": pytest.approx(9 / 5),
        "turns/entropy": pytest.approx(1.0),
        "turns/unfinished_share": 0.5,
        "turns/prefix_cached_share": pytest.approx(37 / 46),
    }


def test_a_batch_without_episodes_has_no_measures() -> None:
    assert set(measured({"turns": TurnsReport()}, []).values()) == {None}


def test_a_game_that_reads_every_reply_has_no_calls_to_count() -> None:
    group = Group(labelled=turn_task(), prompt_ids=[7], rollouts=(rollout(EndReason.SUBMITTED, (1, 0, 0)),), doctor="d")
    found = measured({"turns": TurnsReport()}, [StoredGroup.of(group, group)])
    assert (found["turns/calls"], found["turns/fault_share"], found["turns/turns"]) == (None, None, 1.0)
