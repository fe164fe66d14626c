"""The replay buffer when the disk is full, the journal long, and the line of those who wait too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors import journal, replay_buffer
from common.buffer_records import Closed
from tests.actors.buffer_world import fill, group, labelled, make, names, roll, waits
from tests.actors.fragile_os import FragileOs


async def test_the_journal_reaches_the_disk_a_second_after_the_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_buffer, "SYNC_SECONDS", 0.01)
    buffer = make(tmp_path)
    await buffer.claim("s")
    assert buffer._tasks.unsynced
    await asyncio.sleep(0.05)
    assert not buffer._tasks.unsynced


async def test_a_transition_that_the_disk_refuses_did_not_happen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FragileOs()
    monkeypatch.setattr(journal, "os", disk)
    buffer = make(tmp_path, max_lag=0)
    await fill(buffer, 3)
    await buffer.claim("s")
    await roll(buffer, 1)
    leased = await buffer.lease("d")
    before = buffer.stats()
    disk.room = 20
    calls = [
        buffer.claim("s"),
        buffer.put_task(3, labelled(3)),
        buffer.reject_claim(3, "gate"),
        buffer.return_claims("s"),
        buffer.put_group(group(leased)),
        buffer.reject_lease("d", leased.task.task_id, "too_long", "900 tokens"),
        buffer.return_leases("d"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="make room"):
            await call
        buffer.check()
        assert buffer.stats() == before
    disk.room = None
    assert await buffer.put_group(group(leased))
    disk.room = 20
    with pytest.raises(ValueError, match="make room"):
        await buffer.take_batch()
    disk.room = None
    assert names(await buffer.take_batch()) == ["task-0", "task-1"]
    disk.room = 20
    with pytest.raises(ValueError, match="make room"):
        await buffer.release(1)
    disk.room = None
    await buffer.release(1)
    assert make(tmp_path, trained_steps=1).stats()["trained"] == 2


async def test_a_checkpoint_lets_the_journal_forget_what_was_trained_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "WORTHWHILE_BYTES", 0)
    buffer = make(tmp_path)
    await fill(buffer, 8)
    for version in (1, 2, 3):
        await roll(buffer, 2)
        await buffer.take_batch()
        await buffer.release(version)
    before = (tmp_path / "journal.jsonl").stat().st_size
    await buffer.checkpointed(2)
    assert (tmp_path / "journal.jsonl").stat().st_size < before / 1.5
    await buffer.put_task(await buffer.claim("s"), labelled(0))
    assert buffer.stats()["rejections"] == {"duplicate": 1}
    resumed = make(tmp_path, trained_steps=2)
    assert (resumed.stats()["trained"], resumed.stats()["ready"]) == (4, 4)
    assert not await resumed.put_task(99, labelled(0))
    await resumed.put_task(await resumed.claim("s"), labelled(1))
    assert resumed.stats()["rejections"] == {"duplicate": 2}, "what was forgotten is still known by its id"


async def test_a_cancelled_wait_passes_its_turn_on(tmp_path: Path) -> None:
    buffer = make(tmp_path, capacity=1, batch=1)
    first, second = await waits(buffer.lease("d")), await waits(buffer.lease("d"))
    await fill(buffer, 1)  # calls the first
    first.cancel()
    assert (await asyncio.wait_for(second, 2)).task.task_id == "task-0"
    assert buffer.stats()["waiting"]["doctor"] == 0


async def test_a_dead_doctor_whose_turn_had_come_passes_it_on(tmp_path: Path) -> None:
    buffer = make(tmp_path, capacity=1, batch=1)
    dead, alive = await waits(buffer.lease("dead")), await waits(buffer.lease("d"))
    filling = asyncio.ensure_future(fill(buffer, 1))
    await asyncio.sleep(0)
    await buffer.return_leases("dead")
    await filling
    with pytest.raises(Closed, match="was declared dead"):
        await dead
    assert (await asyncio.wait_for(alive, 2)).task.task_id == "task-0"


async def test_one_who_is_sent_away_gets_no_more_work_and_may_put_what_he_holds(tmp_path: Path) -> None:
    buffer = make(tmp_path, batch=1)
    await fill(buffer, 1)
    held = await buffer.lease("d")
    leaving, staying = await waits(buffer.lease("d")), await waits(buffer.lease("other"))
    await buffer.retire("doctor", "d")
    with pytest.raises(Closed, match="no more work"):
        await leaving
    with pytest.raises(Closed, match="no more work"):
        await buffer.lease("d")
    assert await buffer.put_group(group(held, "d"))
    await buffer.put_task(await buffer.claim("d"), labelled(1))  # a Scribe of the same name stays
    assert (await asyncio.wait_for(staying, 2)).task.task_id == "task-1"
    buffer.check()


async def test_a_turn_that_had_come_to_one_who_is_sent_away_goes_to_the_next(tmp_path: Path) -> None:
    buffer = make(tmp_path, capacity=1, batch=1)
    leaving, staying = await waits(buffer.lease("d")), await waits(buffer.lease("other"))
    filling = asyncio.ensure_future(fill(buffer, 1))
    await asyncio.sleep(0)
    await buffer.retire("doctor", "d")
    await filling
    with pytest.raises(Closed):
        await leaving
    assert (await asyncio.wait_for(staying, 2)).task.task_id == "task-0"


async def test_a_thousand_doctors_who_wait_are_called_one_at_a_time_and_in_order(tmp_path: Path) -> None:
    buffer = make(tmp_path, capacity=4, batch=1000)
    waiting = [asyncio.ensure_future(buffer.lease(f"d{number}")) for number in range(1000)]
    await asyncio.sleep(0)
    looks = 0

    def counting() -> bool:
        nonlocal looks
        looks += 1
        return admits()

    admits, buffer._admits = buffer._admits, counting  # type: ignore[method-assign]
    await fill(buffer, 4)
    done, _ = await asyncio.wait(waiting, timeout=0.1)
    assert done == set(waiting[:4])
    assert looks < 40, "996 others were not disturbed"
    await buffer.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(result, Closed) for result in results) == 996
