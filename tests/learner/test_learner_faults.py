"""The learner loop when its buffer, a rank or the disk fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from common.errors import ActorLost
from common.records import Completion, Group, Sampled
from common.weights import SyncOutcome
from learner.learner import MAX_SKIPPED
from learner.step_report import StepReport
from simulator import virtual
from simulator.fakes import remote_error
from tests.learner.learner_world import World, fresh_of


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
    alive, said = world.ranks[1 - dead], list[str]()

    def accumulate(*groups: Group) -> None:
        said.append("connection closed")
        raise remote_error(RuntimeError("gloo: connection closed by peer"))

    alive.accumulate = accumulate  # type: ignore[method-assign]
    world.handles[dead].kill()
    with pytest.raises(ActorLost, match=f"learner rank {dead} died while it trained"):
        await world.learner.run()
    assert said, "the other said nothing"


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


def skipping(world: World, *steps: int) -> None:
    """Rank 0 reports that these steps changed nothing."""
    apply = world.ranks[0].apply

    def skipped() -> StepReport:
        report = apply()
        return replace(report, skipped="the gradient has a norm of nan") if report.step in steps else report

    world.ranks[0].apply = skipped  # type: ignore[method-assign]


async def test_a_step_that_was_skipped_is_told_and_the_run_continues(tmp_path: Path) -> None:
    world = World(tmp_path, steps=3)
    skipping(world, 2)
    await world.learner.run()
    assert [step.faults for step in world.steps] == [
        (),
        ("step 2 changed no weight: the gradient has a norm of nan",),
        (),
    ]


async def test_a_run_whose_steps_are_all_skipped_ends_and_says_why(tmp_path: Path) -> None:
    world = World(tmp_path, steps=99)
    skipping(world, *range(3, 99))
    with pytest.raises(RuntimeError, match="9 steps in a row were skipped, the last one because the gradient has"):
        await world.learner.run()
    assert len(world.steps) == 2 + MAX_SKIPPED


async def test_an_engine_whose_fresh_log_probs_are_no_numbers_is_named_and_left_out_of_the_mean(tmp_path: Path) -> None:
    world = World(tmp_path, steps=1)
    completion = Completion(
        text="", token_ids=[1], logps=[float("nan")], versions=[0], finish_reason="stop", engine="engines-3"
    )

    async def fresh_rollouts() -> tuple[Sampled, ...]:
        return fresh_of(0), Sampled(prompt_ids=(1,), completions=(completion,))

    world.channel.fresh_rollouts = fresh_rollouts  # type: ignore[method-assign]
    await world.learner.run()
    (step,) = world.steps
    assert step.fresh_logp_difference == 0.01
    assert step.faults == ("fresh rollouts: the log-prob of token 0 from engine engines-3 is nan",)


def test_an_engine_that_hangs_in_its_fresh_rollouts_costs_a_step_half_a_minute(tmp_path: Path) -> None:
    world = World(tmp_path, steps=1)
    cancelled = []

    async def hang() -> tuple[Sampled, ...]:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)
        raise AssertionError

    async def run() -> float:
        await world.learner.run()
        return asyncio.get_running_loop().time()

    world.channel.fresh_rollouts = hang  # type: ignore[method-assign]
    assert virtual.run(run()) < 40 and cancelled
    assert world.steps[0].fresh_logp_difference is None
    assert world.steps[0].faults == ("fresh rollouts: an engine gave none for 30 s after the gradient was ready",)
