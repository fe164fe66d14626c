"""The learner loop when its buffer, a rank or the disk fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ActorLost
from common.records import Group
from common.weights import SyncOutcome
from learner.step_report import StepReport
from simulator.fakes import remote_error
from tests.learner.learner_world import World


async def test_a_buffer_that_dies_while_the_learner_waits_is_replaced_at_the_version_in_hand(tmp_path: Path) -> None:
    world = World(tmp_path, steps=2)
    world.on_step = lambda: world.buffer_handle.kill() if len(world.steps) == 1 else None
    await world.learner.run()
    assert world.log[:5] == ["take", "step 1", "publish 1", "release 1", "logged 1"]
    assert world.log[5:9] == ["new buffer at 1", "take", "step 2", "publish 2"] and world.learner.version == 2


async def test_a_buffer_that_dies_under_a_step_is_replaced_after_it_and_the_batch_counts_as_trained(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, steps=2)
    publish = world.channel.publish

    async def dying(version: int) -> SyncOutcome:
        if version == 1:
            world.buffer_handle.kill()
        return await publish(version)

    world.channel.publish = dying  # type: ignore[method-assign]
    await world.learner.run()
    assert world.log[:5] == ["take", "step 1", "publish 1", "new buffer at 1", "logged 1"]
    assert "release 1" not in world.log and [step.report.step for step in world.steps] == [1, 2]


@pytest.mark.parametrize("dead", [0, 1])
async def test_a_rank_that_dies_is_lost_by_its_number_whatever_the_others_say(tmp_path: Path, dead: int) -> None:
    world = World(tmp_path, steps=2, ranks=2)
    alive = world.ranks[1 - dead]

    def accumulate(*groups: Group) -> None:
        raise remote_error(RuntimeError("gloo: connection closed by peer"))

    alive.accumulate = accumulate  # type: ignore[method-assign]
    world.handles[dead].kill()
    with pytest.raises(ActorLost, match=f"learner rank {dead} died while it trained"):
        await world.learner.run()


async def test_an_error_of_a_rank_that_lives_is_raised_as_it_is(tmp_path: Path) -> None:
    world = World(tmp_path, steps=2, ranks=2)

    def apply() -> StepReport:
        raise remote_error(KeyError("q_proj"))

    world.ranks[0].apply = apply  # type: ignore[method-assign]
    with pytest.raises(KeyError, match="q_proj"):
        await world.learner.run()


async def test_a_checkpoint_that_finds_the_disk_full_is_reported_and_the_run_continues(tmp_path: Path) -> None:
    world = World(tmp_path, steps=7)

    def fill() -> None:
        world.ranks[0].full = len(world.steps) in (4, 5)

    world.on_step = fill
    await world.learner.run()
    assert world.checkpoints() == ["step-00002", "step-00006", "step-00007"]
    assert [bool(fault) for fault in world.notes] == [False, True, False, False]
    note = world.notes[1]
    assert note.startswith("the checkpoint of step 4 could not be written (") and "No space left on device" in note
    assert not list(tmp_path.glob("checkpoints/*.partial"))


async def test_a_disk_that_is_full_at_the_end_is_an_error_since_the_last_steps_would_be_lost(tmp_path: Path) -> None:
    world = World(tmp_path, steps=3)
    world.on_step = lambda: setattr(world.ranks[0], "full", len(world.steps) == 3)
    with pytest.raises(OSError, match="No space left on device"):
        await world.learner.run()
    assert world.checkpoints() == ["step-00002"]
