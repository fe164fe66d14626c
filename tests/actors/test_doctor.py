from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.doctor import Doctor
from actors.engine import PromptTooLong
from common.buffer_records import RejectReason
from common.config import SamplingSpec
from common.metrics import REJECTED
from common.records import Completion, Episode, Label, Reply, Reward, Sampled
from simulator.fakes import Handle, remote_error, settle
from tests.actors.fake_buffer import FakeBuffer
from tests.actors.fake_env import FakeEnv, FakePool, completion, labelled_task
from tests.actors.fake_turns import Turns, turn_task

SAMPLING = SamplingSpec(group_size=2, max_tokens=96, temperature=0.9)


def make(buffer: FakeBuffer, pool: FakePool, concurrency: int = 1) -> Doctor:
    return Doctor("doctor-0", FakeEnv(), Handle(buffer), Handle(pool), SAMPLING, concurrency)


async def test_a_leased_task_comes_back_as_a_group_of_scored_rollouts() -> None:
    buffer = FakeBuffer(labelled_task(1))
    await make(buffer, FakePool((completion("four"), completion("longer")))).run()
    (group,) = buffer.groups
    assert (group.task_id, group.prompt_ids.tolist(), group.doctor) == ("task-1", [7, 8], "doctor-0")
    assert [rollout.reward.total for rollout in group.rollouts] == [4.0, 6.0]
    assert group.oldest_version == 3


async def test_a_truncated_completion_is_scored_as_truncated() -> None:
    buffer = FakeBuffer(labelled_task(1))
    await make(buffer, FakePool((completion("four", finish="length"), completion("four")))).run()
    assert [rollout.reward.total for rollout in buffer.groups[0].rollouts] == [-1.5, 4.0]


@pytest.mark.parametrize(("limit", "asked"), [(512, 96), (32, 32)])
async def test_the_tasks_own_limit_bounds_the_completion(limit: int, asked: int) -> None:
    pool = FakePool((completion("a"), completion("b")))
    await make(FakeBuffer(labelled_task(1, max_tokens=limit)), pool).run()
    ((role, messages, n, max_tokens, temperature),) = pool.asked
    assert (role, messages[0].content, n, max_tokens, temperature) == ("doctor", "note 1", 2, asked, 0.9)


async def test_a_task_that_does_not_fit_is_rejected_and_the_next_one_is_played() -> None:
    buffer = FakeBuffer(labelled_task(1), labelled_task(2))
    pool = FakePool(remote_error(PromptTooLong("900 tokens")), (completion("a"), completion("b")))
    await make(buffer, pool).run()
    assert buffer.rejected == [("doctor-0", "task-1", "too_long")]
    assert [group.task_id for group in buffer.groups] == ["task-2"]


async def test_as_many_tasks_are_worked_on_at_once_as_the_concurrency_says() -> None:
    class Slow(FakePool):
        async def generate(self, *arguments: object) -> Sampled:  # type: ignore[override]
            started.append(arguments)
            await opened.wait()
            return Sampled(prompt_ids=(1,), completions=(completion("a"), completion("b")))

    started: list[object] = []
    opened = asyncio.Event()
    buffer = FakeBuffer(*(labelled_task(index) for index in range(5)))
    doctor = make(buffer, Slow(), concurrency=3)
    running = asyncio.ensure_future(doctor.run())
    await settle()
    assert len(started) == 3 and (await doctor.state())[0]
    opened.set()
    await running
    assert len(buffer.groups) == 5 and not (await doctor.state())[0]


async def test_a_fault_ends_the_run_under_its_own_name() -> None:
    with pytest.raises(ValueError, match="score"):
        await make(FakeBuffer(labelled_task(1)), FakePool(remote_error(ValueError("score"))), 3).run()


async def test_a_whole_group_is_scored_at_its_newest_policy_version() -> None:
    asked: list[int | None] = []

    class Annealed(FakeEnv):
        def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
            asked.append(version)
            return super().score(episode, label, version)

    buffer = FakeBuffer(labelled_task(1))
    pool = FakePool((completion("a", versions=(3, 3)), completion("b", versions=(3, 5))))
    await Doctor("doctor-0", Annealed(), Handle(buffer), Handle(pool), SAMPLING, 1).run()
    assert asked == [5, 5] and buffer.groups[0].newest_version == 5


async def test_completions_without_a_token_are_scored_and_left_to_the_filters() -> None:
    buffer = FakeBuffer(labelled_task(1))
    await make(buffer, FakePool((completion("", versions=()), completion("", versions=())))).run()
    assert [rollout.reward.total for rollout in buffer.groups[0].rollouts] == [0.0, 0.0]


def turning(buffer: FakeBuffer, *answers: tuple[Completion, ...]) -> Doctor:
    sampling = SamplingSpec(group_size=1, max_tokens=96, temperature=0.9)
    return Doctor("doctor-0", Turns(), Handle(buffer), Handle(FakePool(*answers)), sampling, 1)


async def test_an_episode_of_several_turns_becomes_one_rollout_and_renews_its_lease_at_each() -> None:
    buffer = FakeBuffer(turn_task(wanted=3))
    await turning(buffer, *((completion(word),) for word in ("a", "b", "c"))).run()
    ((rollout,),) = [group.rollouts for group in buffer.groups]
    assert rollout.episode.actions == ("a", "b", "c") and len(rollout.steps) == 3 and buffer.renewed == 2


LATE = (REJECTED.name, (RejectReason.LATE,))


def asking(buffer: FakeBuffer, doctors: FakePool, partners: dict[str, Handle[FakePool]]) -> Doctor:
    sampling = SamplingSpec(group_size=1, max_tokens=96, temperature=0.9)
    return Doctor("doctor-0", Turns(), Handle(buffer), Handle(doctors), sampling, 1, partners)


async def test_a_partner_that_the_game_asks_is_a_pool_of_the_run_at_the_games_temperature() -> None:
    buffer, scribes = FakeBuffer(turn_task(wanted=2)), FakePool((completion("hello", versions=(4, 3)),))
    doctors = FakePool((completion("ask"),), (completion("a"),))
    await asking(buffer, doctors, {"scribe": Handle(scribes)}).run()
    ((rollout,),) = [group.rollouts for group in buffer.groups]
    assert rollout.episode.replies == (Reply(role="scribe", text="hello", policy_version=3),)
    ((role, messages, n, max_tokens, temperature),) = scribes.asked
    assert (role, messages[0].content, n, max_tokens, temperature) == ("scribe", "say", 1, 8, 0.7)
    assert "['hello']" in doctors.asked[1][1][0].content, "the game goes on with what the partner said"


@pytest.mark.parametrize("partners", [{}, {"scribe": Handle(FakePool(remote_error(PromptTooLong("900 tokens"))))}])
async def test_a_partner_that_is_missing_or_gets_too_long_a_prompt_rejects_the_task(partners: dict[str, Any]) -> None:
    buffer = FakeBuffer(turn_task(wanted=2))
    await asking(buffer, FakePool((completion("ask"),)), partners).run()
    assert buffer.groups == [] and buffer.rejected == [("doctor-0", "task-0", "partner")]


async def test_an_episode_whose_lease_was_lost_is_played_no_further_and_counted() -> None:
    buffer = FakeBuffer(turn_task(wanted=3))
    buffer.lost = True
    doctor = turning(buffer, (completion("a"),))
    await doctor.run()
    assert buffer.groups == [] and buffer.rejected == []
    assert await doctor.state() == (False, {LATE: 1})


async def test_a_whole_group_that_comes_too_late_is_counted_as_one() -> None:
    buffer = FakeBuffer(turn_task(wanted=2))
    buffer.lost = True
    sampling = SamplingSpec(group_size=3, max_tokens=96, temperature=0.9)
    pool = FakePool((completion("a"), completion("b"), completion("c")))
    doctor = Doctor("doctor-0", Turns(), Handle(buffer), Handle(pool), sampling, 1)
    await doctor.run()
    assert buffer.renewed == 3 and (await doctor.state())[1] == {LATE: 1}


async def test_a_group_that_the_buffer_refuses_is_counted() -> None:
    buffer = FakeBuffer(turn_task(wanted=1))
    buffer.used = False
    doctor = turning(buffer, (completion("a"),))
    await doctor.run()
    assert (await doctor.state())[1] == {LATE: 1}


async def test_each_renewal_says_the_oldest_version_of_the_group_so_far() -> None:
    buffer = FakeBuffer(turn_task(wanted=4))
    versions = ((), (7, 8), (6, 9), (9, 9))
    await turning(buffer, *((completion("a", versions=these),) for these in versions)).run()
    assert buffer.oldest == [None, 7, 6]


async def test_a_game_that_raises_costs_its_task_and_the_next_one_is_played() -> None:
    buffer = FakeBuffer(turn_task(1), turn_task(2, wanted=1))
    await turning(buffer, (completion("break"),), (completion("a"),)).run()
    assert buffer.rejected == [("doctor-0", "task-1", "game_error")]
    assert buffer.details == ["advance: KeyError: 'broken game'"]
    assert [group.task_id for group in buffer.groups] == ["task-2"]
