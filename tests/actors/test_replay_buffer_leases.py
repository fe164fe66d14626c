"""Who holds a task, how long, and what becomes of it when that one dies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors.replay_buffer import ReplayBuffer
from common.buffer_records import Closed
from common.config import BufferSpec, FilterSpec
from tests.actors.buffer_world import LEASE_SECONDS, Clock, fill, group, labelled, make, roll, waits


async def test_an_expired_lease_is_ready_again_and_its_late_group_is_refused(tmp_path: Path) -> None:
    clock = Clock()
    buffer = make(tmp_path, clock=clock)
    await fill(buffer, 1)
    late = await buffer.lease("slow")
    clock.now = LEASE_SECONDS
    assert (await buffer.lease("d")).task.task_id == late.task.task_id
    assert not await buffer.put_group(group(late, "slow"))
    assert await buffer.put_group(group(late, "d"))
    assert (buffer.stats()["refused_late"], buffer.stats()["returned"]) == (1, 1)


async def test_a_lease_is_held_as_long_as_its_episode_continues(tmp_path: Path) -> None:
    clock = Clock()
    buffer = make(tmp_path, clock=clock)
    await fill(buffer, 3)
    held = await buffer.lease("d")
    await buffer.lease("slow")
    for _ in range(3):
        clock.now += 0.6 * LEASE_SECONDS
        assert await buffer.renew_lease("d", held.task.task_id, 0)
    assert (await buffer.lease("other")).task.task_id == "task-1", "the slow Doctor's came back"
    assert await buffer.put_group(group(held, "d"))
    assert not await buffer.renew_lease("slow", "task-1", 0)
    buffer.check()


async def test_a_group_of_a_lost_lease_is_not_continued_under_a_younger_lease_of_the_same_doctor(
    tmp_path: Path,
) -> None:
    clock = Clock()
    buffer = make(tmp_path, batch=1, clock=clock)
    await fill(buffer, 2)
    held = await buffer.lease("d")
    clock.now = LEASE_SECONDS
    other, again = await buffer.lease("other"), await buffer.lease("d")
    assert other.task.task_id == held.task.task_id and again.task.task_id == "task-1"
    assert not await buffer.renew_lease("d", held.task.task_id, 0), "another Doctor plays it"
    await buffer.put_group(group(again))
    await buffer.take_batch()
    await buffer.release(1)
    clock.now = 2 * LEASE_SECONDS
    assert (await buffer.lease("d")).task.task_id == held.task.task_id
    assert not await buffer.renew_lease("d", held.task.task_id, 0), "it was begun before the lease"
    assert await buffer.renew_lease("d", held.task.task_id, 1) and await buffer.renew_lease(
        "d", held.task.task_id, None
    )
    buffer.check()


async def test_a_waiting_doctor_wakes_when_a_lease_expires(tmp_path: Path) -> None:
    spec = BufferSpec(max_lag=0, capacity=1, lease_seconds=0.05)
    buffer = ReplayBuffer(spec, 1, FilterSpec(), tmp_path / "journal.jsonl")
    await fill(buffer, 1)
    await buffer.lease("slow")
    assert (await asyncio.wait_for(buffer.lease("d"), 2)).task.task_id == "task-0"


async def test_what_a_dead_doctor_held_or_waited_for_goes_to_others(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=0, batch=1)
    await fill(buffer, 1)
    await buffer.lease("dead")
    waiting = await waits(buffer.lease("dead"))
    assert await buffer.return_leases("dead") == 1
    with pytest.raises(Closed, match="dead"):
        await waiting
    assert (await buffer.lease("d")).task.task_id == "task-0"


async def test_the_claim_of_a_dead_scribe_is_given_first_and_makes_one_task(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    assert [await buffer.claim("dead"), await buffer.claim("s")] == [0, 1]
    assert await buffer.return_claims("dead") == 1
    assert not await buffer.put_task(0, labelled(0))
    assert [await buffer.claim("s"), await buffer.claim("s")] == [0, 2]
    assert await buffer.put_task(0, labelled(0))
    assert not await buffer.put_task(0, labelled(0))
    buffer.check()


async def test_a_group_older_than_its_lease_is_refused_and_the_task_tried_again(tmp_path: Path) -> None:
    buffer = make(tmp_path, batch=1)
    await fill(buffer, 2)
    await roll(buffer, 1)
    await buffer.take_batch()
    await buffer.release(1)
    leased = await buffer.lease("d")
    assert not await buffer.put_group(group(leased, versions=(0, 1)))
    assert (buffer.stats()["ready"], buffer.stats()["refused_stale"]) == (1, 1)
