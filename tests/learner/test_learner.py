from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from common.buffer_records import Closed, StoredGroup
from learner import checkpoint
from simulator.fakes import settle
from tests.learner.learner_world import World


async def test_a_batch_is_released_only_after_the_engines_hold_the_new_weights(tmp_path: Path) -> None:
    world = World(tmp_path, steps=1)
    await world.learner.run()
    assert world.log == ["take", "step 1", "publish 1", "release 1", "logged 1", "save 1"]
    assert world.phases == ["waiting for a batch", "training", "publishing", "checkpointing"]


async def test_every_step_reports_how_well_engines_and_learner_agreed_on_the_version_before_it(tmp_path: Path) -> None:
    world = World(tmp_path, steps=3, ranks=2)
    await world.learner.run()
    assert [step.fresh_logp_difference for step in world.steps] == [0.01, 0.02, 0.03]


async def test_where_no_engine_samples_fresh_rollouts_the_agreement_is_unknown_and_training_continues(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, steps=2)
    world.channel.deaf = True
    await world.learner.run()
    assert [step.fresh_logp_difference for step in world.steps] == [None, None]


async def test_checkpoints_are_written_at_the_cadence_and_at_the_end(tmp_path: Path) -> None:
    world = World(tmp_path, steps=5)
    await world.learner.run()
    assert world.checkpoints() == ["step-00002", "step-00004", "step-00005"]
    assert world.learner.version == 5


async def test_the_buffer_knows_to_which_step_a_resume_may_still_go_back(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9, keep=2)
    world.scores = {2: (0.5, 0.5)}
    await world.learner.run()
    assert world.checkpoints() == ["step-00002", "step-00008", "step-00009"], "the best one stays"
    assert world.buffer.oldest_steps == [2, 2, 4, 6, 8], "but nothing is kept of the journal for it: it is for export"


async def test_a_checkpoint_carries_the_score_of_the_steps_logged_before_it(tmp_path: Path) -> None:
    world = World(tmp_path, steps=5)
    world.scores = {2: (0.5, 0.5), 4: (0.1, 0.1)}
    await world.learner.run()
    found, last = checkpoint.best(tmp_path), checkpoint.newest(tmp_path).checkpoint
    assert found is not None and (found.manifest.step, found.manifest.score) == (2, (0.5, 0.5))
    assert last is not None and last.manifest.score is None


async def test_an_end_that_falls_on_the_cadence_is_saved_once(tmp_path: Path) -> None:
    world = World(tmp_path, steps=4)
    await world.learner.run()
    assert [line for line in world.log if line.startswith("save")] == ["save 2", "save 4"]


async def test_a_checkpoint_names_its_version_and_keeps_the_tolerance(tmp_path: Path) -> None:
    await World(tmp_path, steps=3, ranks=2).learner.run()
    found = checkpoint.newest(tmp_path).checkpoint
    assert found is not None
    manifest = found.manifest
    assert (manifest.step, manifest.policy_version, manifest.ranks) == (3, 3, 2)
    assert set(manifest.files) == {"rank-0.pt", "rank-1.pt"} and manifest.state == {"loaded_gap": 0.03}


async def test_stop_finishes_the_current_step_and_checkpoints_it(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9)
    world.on_step = world.learner.stop
    await world.learner.run()
    assert world.learner.version == 1 and world.checkpoints() == ["step-00001"]


async def test_a_closed_buffer_ends_the_loop_with_a_checkpoint(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9, batches=3)
    await world.learner.run()
    assert world.learner.version == 3 and world.checkpoints() == ["step-00002", "step-00003"]


async def test_stop_before_the_first_step_leaves_no_checkpoint(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9, batches=0)
    await world.learner.run()
    assert world.log == [] and world.checkpoints() == []


async def test_a_resumed_loop_continues_after_its_version_and_saves_only_new_ones(tmp_path: Path) -> None:
    world = World(tmp_path, steps=5, version=4)
    await world.learner.run()
    assert world.log[1:4] == ["step 5", "publish 5", "release 5"] and world.checkpoints() == ["step-00005"]


async def test_ranks_share_a_batch_without_overlap(tmp_path: Path) -> None:
    world = World(tmp_path, steps=1, ranks=2)
    await world.learner.run()
    assert [rank.seen for rank in world.ranks] == [["task-2"], ["task-3"]]


async def test_a_quarantined_engine_does_not_stop_the_learner_and_is_reported(tmp_path: Path) -> None:
    world = World(tmp_path, steps=2)
    world.channel.failures = {"engines-1": "pause: no answer within 300 s"}
    await world.learner.run()
    assert [step.sync.failures for step in world.steps] == [world.channel.failures] * 2
    assert len(world.steps[0].groups) == 2


async def test_a_failed_publish_releases_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, steps=2)
    world.channel.error = RuntimeError("weight sync 1: transfer")
    with pytest.raises(RuntimeError, match="weight sync 1"):
        await world.learner.run()
    assert world.log == ["take", "step 1"] and world.learner.version == 0 and world.checkpoints() == []


async def test_the_seconds_of_a_step_cover_waiting_training_and_publishing(tmp_path: Path) -> None:
    world = World(tmp_path, steps=1)
    await world.learner.run()
    (step,) = world.steps
    assert step.wait_seconds >= 0 and step.wait_seconds + step.step_seconds <= step.seconds


async def test_stopping_while_waiting_for_a_batch_needs_only_the_buffer_to_close(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9, batches=1)
    closed = asyncio.Event()

    async def take_batch() -> tuple[StoredGroup, ...]:
        await closed.wait()
        raise Closed

    world.buffer.take_batch = take_batch  # type: ignore[method-assign]
    running = asyncio.ensure_future(world.learner.run())
    await settle()
    world.learner.stop()
    closed.set()
    await running
    assert world.learner.version == 0
