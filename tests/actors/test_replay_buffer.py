from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from common.buffer_records import Closed
from common.config import FilterSpec
from common.records import Group
from tests.actors.buffer_world import fill, group, labelled, make, names, roll, twin, waits


async def test_a_task_passes_through_every_state_once(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 3)
    await roll(buffer, 2)
    assert names(await buffer.take_batch()) == ["task-0", "task-1"]
    assert buffer.stats()["batched"] == 2
    await buffer.release(1)
    stats = buffer.stats()
    assert (stats["trained"], stats["ready"], stats["version"]) == (2, 1, 1)
    buffer.check()


async def test_scribes_wait_while_the_buffer_is_full(tmp_path: Path) -> None:
    buffer = make(tmp_path, capacity=2)
    await fill(buffer, 2)
    waiting = await waits(buffer.claim("s"))
    assert buffer.stats()["waiting"] == {"scribe": 1, "doctor": 0, "learner": 0}
    await roll(buffer, 2)
    await buffer.take_batch()
    await buffer.release(1)
    assert await waiting == 2


async def test_without_lag_nothing_is_leased_until_the_weights_are_out(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=0)
    await fill(buffer, 4)
    await roll(buffer, 2)
    waiting = await waits(buffer.lease("d"))
    await buffer.take_batch()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    await buffer.release(1)
    assert (await waiting).task.task_id == "task-2"


async def test_a_lag_of_one_allows_one_batch_ahead(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=1)
    await fill(buffer, 6)
    await roll(buffer, 4)
    waiting = await waits(buffer.lease("d"))
    await buffer.take_batch()
    await buffer.release(1)
    assert (await waiting).task.task_id == "task-4"


async def test_the_learner_waits_for_a_slow_task_that_would_become_too_old(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=1)
    await fill(buffer, 8)
    slow = await buffer.lease("slow")
    await roll(buffer, 2)
    assert names(await buffer.take_batch()) == ["task-1", "task-2"]
    await buffer.release(1)
    await roll(buffer, 2)
    taking = await waits(buffer.take_batch())
    assert await buffer.put_group(group(slow, "slow", versions=(0, 1)))
    assert names(await taking) == ["task-0", "task-3"]


async def test_two_slow_tasks_are_not_overtaken_into_one_batch_of_one(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=2, batch=1)
    await fill(buffer, 8)
    slow = [await buffer.lease("slow"), await buffer.lease("slow")]
    await roll(buffer, 1)
    await buffer.take_batch()
    await buffer.release(1)
    await roll(buffer, 1)
    taking = await waits(buffer.take_batch())
    await buffer.put_group(group(slow[1], "slow"))
    assert names(await taking) == ["task-1"]
    await buffer.release(2)
    await buffer.put_group(group(slow[0], "slow"))
    assert names(await buffer.take_batch()) == ["task-0"]


async def test_twins_are_batched_together_where_the_bound_leaves_a_choice(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=1, batch=2)
    await fill(buffer, 4, twin)
    leased = [await buffer.lease("d") for _ in range(4)]
    for index in (0, 2, 3):
        await buffer.put_group(group(leased[index]))
    assert names(await buffer.take_batch()) == ["task-2", "task-3"]
    await buffer.release(1)
    taking = await waits(buffer.take_batch())
    await buffer.put_group(group(leased[1]))
    assert names(await taking) == ["task-0", "task-1"]


async def test_a_twin_that_is_due_is_not_held_back_for_its_sibling(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=1, batch=2)
    await fill(buffer, 8, twin)
    slow = await buffer.lease("slow")
    await roll(buffer, 1)
    await buffer.put_group(group(await buffer.lease("d")))
    await buffer.take_batch()
    await buffer.release(1)
    await buffer.put_group(group(slow, "slow"))
    await roll(buffer, 2)
    assert "task-0" in names(await buffer.take_batch()), "its lease is of version 0, so that it is due in this batch"
    buffer.check()


async def test_sampling_rejects_a_stale_group_that_a_fault_let_in(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=0, batch=1)
    await fill(buffer, 3)
    await roll(buffer, 1)
    await buffer.take_batch()
    await buffer.release(1)
    leased = await buffer.lease("d")
    buffer._tasks.roll(1, group(leased, versions=(0,)))
    taking = await waits(buffer.take_batch())
    assert buffer.stats()["rejections"] == {"stale": 1}
    await roll(buffer, 1)
    assert names(await taking) == ["task-2"]


async def test_close_wakes_everyone_who_waits(tmp_path: Path) -> None:
    buffer = make(tmp_path, capacity=2)
    await fill(buffer, 2)
    await roll(buffer, 1)
    await buffer.lease("d")
    waiting = [await waits(buffer.claim("s")), await waits(buffer.lease("d")), await waits(buffer.take_batch())]
    await buffer.close()
    for each in waiting:
        with pytest.raises(Closed):
            await each
    with pytest.raises(Closed):
        await buffer.claim("s")


async def test_groups_outside_the_difficulty_band_free_their_slot(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=0, batch=1, filters=FilterSpec(difficulty=(0.2, 0.8)))
    await fill(buffer, 3)
    for totals in ((1.0, 1.0), (-1.0, -1.0)):
        assert await buffer.put_group(group(await buffer.lease("d"), totals=totals))
    assert await buffer.put_group(group(await buffer.lease("d"), totals=(1.0, -1.0)))
    assert names(await buffer.take_batch()) == ["task-2"]
    assert buffer.stats()["rejections"] == {"difficulty": 2}
    buffer.check()


async def test_too_short_completions_leave_with_their_group(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 1)
    assert await buffer.put_group(group(await buffer.lease("d"), versions=()))
    assert buffer.stats()["rejections"] == {"too_short": 1}


async def test_a_note_like_a_recent_one_is_rejected_unless_it_is_its_twin(tmp_path: Path) -> None:
    buffer = make(tmp_path, filters=FilterSpec(novelty=0.7))
    note = "The patient is a man of fifty with chest pain that began after lunch and eased at rest."
    tasks = [
        labelled(0, note, "v", "augmented_safe"),
        labelled(1, note.replace("rest", "night"), "v", "augmented_error"),
        labelled(2, note.replace("lunch", "dinner"), "w", "augmented_safe"),
        labelled(3, " ".join(reversed(note.split())), "x", "augmented_safe"),  # the same bag of words in another order
    ]
    for task in tasks:
        await buffer.put_task(await buffer.claim("s"), task)
    assert (buffer.stats()["ready"], buffer.stats()["rejections"]) == (3, {"novelty": 1})


async def test_the_same_task_id_twice_is_a_duplicate(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await buffer.put_task(await buffer.claim("s"), labelled(0))
    await buffer.put_task(await buffer.claim("s"), labelled(0))
    await buffer.reject_claim(await buffer.claim("s"), "gate")
    assert buffer.stats()["rejections"] == {"duplicate": 1, "gate": 1}
    buffer.check()


async def test_resume_keeps_what_the_checkpoint_trained_and_returns_the_rest(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 8)
    await buffer.claim("s")
    for version in (1, 2):
        await roll(buffer, 2)
        await buffer.take_batch()
        await buffer.release(version)
    await roll(buffer, 1)
    resumed = make(tmp_path, trained_steps=1)
    stats = resumed.stats()
    assert {key: stats[key] for key in ("trained", "ready", "version", "given")} == {
        "trained": 2,
        "ready": 6,
        "version": 1,
        "given": 8,
    }
    assert (await resumed.lease("d")).task.task_id == "task-2"
    assert await resumed.claim("s") == 8
    resumed.check()


async def test_a_batch_goes_out_by_reference_with_what_it_was_asked_and_earned(tmp_path: Path) -> None:
    there: dict[str, Group] = {}

    def store(group: Group) -> str:
        there[f"ref-{group.task_id}"] = group
        return f"ref-{group.task_id}"

    buffer = make(tmp_path, store=store)
    await fill(buffer, 2)
    await roll(buffer, 2)
    assert not there, "what is rejected later needs no room there"
    for one in await buffer.take_batch():
        assert one.reference == f"ref-{one.task_id}"
        group = there[one.reference]
        assert one.labelled == group.labelled and one.oldest_version == group.oldest_version
        assert one.rewards == tuple(rollout.reward for rollout in group.rollouts)


async def test_a_batch_that_the_checkpoint_holds_stays_trained_though_it_was_never_released(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 3)
    await roll(buffer, 2)
    await buffer.take_batch()
    assert make(tmp_path, trained_steps=1).stats()["trained"] == 2


async def test_an_abandoned_batch_does_not_count_after_a_second_resume(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 4)
    await roll(buffer, 2)
    await buffer.take_batch()
    again = make(tmp_path, trained_steps=0)
    first = await again.lease("slow")
    await roll(again, 2)
    assert "task-0" not in names(await again.take_batch())
    third = make(tmp_path, trained_steps=1)
    assert (await third.lease("d")).task.task_id == first.task.task_id
    third.check()


async def test_a_new_run_refuses_an_old_journal_and_a_resume_refuses_another_batch_size(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 2)
    await roll(buffer, 2)
    await buffer.take_batch()
    with pytest.raises(ValueError, match="exists already"):
        make(tmp_path)
    with pytest.raises(ValueError, match="batch_groups 4"):
        make(tmp_path, batch=4, trained_steps=1)
