from __future__ import annotations

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.scribe_rewards import VERIFIED, ScribeRewards
from common.buffer_records import AuthorBatch
from common.records import Authored, Group, LabelledTask, Sampled
from simulator.rollouts import one_turn, rewarded
from tests.actors.fake_env import completion, labelled_task

BATCH, LAG = 2, 1


def attempt(refused: str = "", version: int = 0) -> Authored:
    return Authored(sampled=Sampled(prompt_ids=(7, 8), completions=(completion("try", (version,)),)), refused=refused)


def authored(index: int, *tries: Authored) -> LabelledTask:
    return msgspec.structs.replace(labelled_task(index), authored=tries)


def read_by_doctor(index: int, *rewards: float) -> Group:
    rollouts = tuple(one_turn(completion("reply"), rewarded(reward)) for reward in rewards)
    return Group(labelled=labelled_task(index), prompt_ids=(1,), rollouts=rollouts, doctor="doctor-0")


def rewards_of(batch: AuthorBatch) -> list[tuple[float, str]]:
    return [(group.rollouts[0].reward.total, group.rollouts[0].reward.reason) for group in batch.groups]


def counts_of(rewards: ScribeRewards) -> dict[str, float]:
    return {label: n for (_name, (label,)), n in rewards.counts().items()}


def test_a_verified_try_is_paid_once_the_doctors_group_is_scored() -> None:
    rewards = ScribeRewards(BATCH, LAG)
    bare = rewards.put(authored(0, attempt("json"), attempt()))
    assert bare == labelled_task(0) and bare.authored == ()
    assert rewards.take(0) == AuthorBatch()
    rewards.score_tries(read_by_doctor(0, 1.1, -0.9, -1.5, -1.5))
    batch = rewards.take(0)
    assert rewards_of(batch) == [(0.0, "json"), (0.75, VERIFIED)] and batch.success_rates == (0.25,)
    group = batch.groups[1]
    assert (group.prompt_ids.tolist(), group.labelled, group.rollouts[0].episode.actions) == ([7, 8], bare, ("try",))
    assert counts_of(rewards) == {"unverified": 1, "0.2": 1}
    assert rewards.take(0) == AuthorBatch(), "a try is trained on once"


def test_refused_tries_wait_for_the_doctor_like_the_verified_ones() -> None:
    rewards = ScribeRewards(1, LAG)
    rewards.put(authored(0, attempt("json")))
    assert counts_of(rewards) == {}
    rewards.score_tries(read_by_doctor(0, 1.0, -1.0))
    assert counts_of(rewards) == {"unverified": 1}


def test_a_second_group_of_the_same_task_pays_nothing_more() -> None:
    rewards = ScribeRewards(1, LAG)
    rewards.put(authored(0, attempt()))
    for _ in range(3):
        rewards.score_tries(read_by_doctor(0, 1.0, -1.0))
    assert counts_of(rewards) == {"0.5": 1}


def test_a_task_that_the_buffer_refuses_pays_nothing_for_its_verified_try() -> None:
    rewards = ScribeRewards(BATCH, LAG)
    rewards.put(authored(0, attempt()), refused="novelty")
    rewards.put(authored(1, attempt()))
    rewards.score_tries(read_by_doctor(0, 1.0, -1.0))
    rewards.score_tries(read_by_doctor(1, 1.0, -1.0))
    assert rewards_of(rewards.take(0)) == [(0.0, "novelty"), (1.0, VERIFIED)]


def test_a_try_whose_task_no_doctor_can_read_is_forgotten() -> None:
    rewards = ScribeRewards(BATCH, LAG)
    rewards.put(authored(0, attempt()))
    rewards.forget("task-0")
    rewards.forget("task-1")
    rewards.score_tries(read_by_doctor(0, 1.0, -1.0))
    assert counts_of(rewards) == {"unread": 1}


def test_a_batch_of_equal_rewards_is_left_out() -> None:
    rewards = ScribeRewards(BATCH, LAG)
    rewards.put(authored(0, attempt("json"), attempt("verifier")))
    rewards.put(authored(1, attempt("json"), attempt()))
    for index in (0, 1):
        rewards.score_tries(read_by_doctor(index, 1.0, -1.0))
    assert rewards_of(rewards.take(0)) == [(0.0, "json"), (1.0, VERIFIED)]
    assert counts_of(rewards)["uniform"] == 2


def test_tries_staler_than_max_lag_are_dropped_at_any_position() -> None:
    rewards = ScribeRewards(BATCH, LAG)
    rewards.put(authored(0, attempt(version=1)))
    rewards.put(authored(1, attempt("json", 3), attempt("json", 1)))
    rewards.score_tries(read_by_doctor(1, 1.0, -1.0))
    rewards.score_tries(read_by_doctor(0, 1.0, -1.0))  # the oldest version, though it was paid last
    rewards.put(authored(2, attempt("", 2)))
    rewards.score_tries(read_by_doctor(2, 1.0, -1.0))
    batch = rewards.take(3)
    assert [group.oldest_version for group in batch.groups] == [3, 2]
    assert counts_of(rewards)["stale"] == 2


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["", "json"]), st.booleans()), max_size=40), st.data())
def test_whatever_comes_no_batch_is_stale_or_uniform_and_every_try_is_accounted_for(
    tries: list[tuple[int, str, bool]], data: st.DataObject
) -> None:
    rewards, version, trained = ScribeRewards(BATCH, LAG), 0, 0
    waiting = 0
    for index, (version_step, refused, is_read) in enumerate(tries):
        rewards.put(authored(index, attempt(refused, version)))
        if is_read:
            rewards.score_tries(read_by_doctor(index, *([1.0, -1.0] if version_step % 2 else [1.0])))
        waiting += not is_read
        if data.draw(st.booleans()):
            batch = rewards.take(version)
            trained += len(batch.groups)
            if batch.groups:
                assert len(batch.groups) == BATCH and len(set(rewards_of(batch))) > 1
                assert all(version - group.oldest_version <= LAG for group in batch.groups)
                assert all((reason == VERIFIED) or reward == 0 for reward, reason in rewards_of(batch)), (
                    "only what was verified is paid"
                )
                version += 1
    counts = counts_of(rewards)
    paid = sum(n for label, n in counts.items() if label not in ("stale", "overflow", "uniform"))
    gone = sum(counts.get(label, 0) for label in ("stale", "overflow", "uniform"))
    left = len(rewards._paid)
    assert paid == len(tries) - waiting and math.isclose(paid, trained + gone + left)
    assert left <= (LAG + 1) * BATCH
