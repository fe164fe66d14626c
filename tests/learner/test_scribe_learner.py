from __future__ import annotations

import asyncio
from pathlib import Path

from learner import checkpoint
from tests.learner.learner_world import World


def turns(world: World) -> list[str]:
    """Who took a step, in order."""
    return [line.removesuffix(line.split()[-1]).strip() for line in world.log if "step " in line]


async def test_doctor_and_scribe_take_turns_of_phase_steps_each(tmp_path: Path) -> None:
    world = World(tmp_path, steps=4, phase_steps=2)
    world.buffer.tries = 99
    await world.learner.run()
    assert turns(world) == ["step", "step", "scribe step", "scribe step"] * 2
    assert world.learner.version == 4 and world.scribe_channel.version == 4


async def test_every_scribe_step_is_published_before_the_next_and_the_doctors_batch_is_free_by_then(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, steps=1, phase_steps=1)
    world.buffer.tries = 1
    await world.learner.run()
    assert world.log == [
        "take",
        "step 1",
        "publish 1",
        "release 1",
        "scribe step 1",
        "scribe publish 1",
        "logged 1",
        "save 1",
    ]


async def test_the_doctor_continues_when_no_batch_of_tries_is_ready_and_it_is_reported(tmp_path: Path) -> None:
    world = World(tmp_path, steps=6, phase_steps=2)
    await asyncio.wait_for(world.learner.run(), 5)
    assert turns(world) == ["step"] * 6
    phases = [step.scribe for step in world.steps]
    assert [phase is None for phase in phases] == [True, False] * 3
    assert all(phase.starved and phase.reports == () for phase in phases if phase)


async def test_a_phase_that_runs_out_of_batches_ends_early_and_keeps_what_it_did(tmp_path: Path) -> None:
    world = World(tmp_path, steps=4, phase_steps=2)
    world.buffer.tries = 3
    await world.learner.run()
    assert turns(world) == ["step", "step", "scribe step", "scribe step", "step", "step", "scribe step"]
    first, second = (step.scribe for step in world.steps if step.scribe)
    assert (first.starved, first.policy_version, first.success_rates) == (False, 2, (0.5, 0.5))
    assert (second.starved, second.policy_version, len(second.reports), len(second.syncs)) == (True, 3, 1, 1)


async def test_batches_are_asked_for_at_the_scribes_own_version(tmp_path: Path) -> None:
    world = World(tmp_path, steps=4, phase_steps=2)
    world.buffer.tries = 3
    await world.learner.run()
    assert world.buffer.asked == [0, 1, 2, 3]


async def test_ranks_share_a_batch_of_tries_without_overlap(tmp_path: Path) -> None:
    world = World(tmp_path, steps=1, ranks=2, phase_steps=1)
    world.buffer.tries = 1
    await world.learner.run()
    assert [rank.scribes.seen for rank in world.ranks] == [["task-1000"], ["task-1001"]]


async def test_a_checkpoint_holds_the_scribe_beside_the_doctor(tmp_path: Path) -> None:
    world = World(tmp_path, steps=4, phase_steps=2)
    world.buffer.tries = 3
    await world.learner.run()
    found = checkpoint.newest(tmp_path).checkpoint
    assert found is not None and set(found.manifest.files) == {"rank-0.pt", "scribe-0.pt"}
    assert found.manifest.state == {"loaded_gap": 0.03, "scribe": {"policy_version": 3, "loaded_gap": 0.03}}


async def test_after_stop_no_phase_begins(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9, phase_steps=1)
    world.buffer.tries = 9
    release = world.buffer.release

    async def stopping(version: int) -> None:
        await release(version)
        world.learner.stop()

    world.buffer.release = stopping  # type: ignore[method-assign]
    await world.learner.run()
    assert turns(world) == ["step"] and world.steps[0].scribe is None


async def test_a_scribe_that_is_not_trained_is_never_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, steps=4)
    world.buffer.tries = 99
    await world.learner.run()
    assert world.buffer.asked == [] and all(step.scribe is None for step in world.steps)
    assert "training the Scribe" not in world.phases
