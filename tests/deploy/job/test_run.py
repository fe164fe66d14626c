from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import OwnerDiedError

from actors.journal import replay
from actors.restarts import MAX_RESTARTS, BudgetSpent
from common.records import Group
from deploy.job import run as run_module
from envs.contract.registry import environment_of
from envs.contract.spec import read
from learner import checkpoint
from simulator.fakes import Handle
from tests.deploy.job.run_world import KINDS, FakePlacement, FakePreparation, World, play, turns

pytestmark = pytest.mark.usefixtures("fakes")


async def test_a_run_left_alone_reaches_its_last_step(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert await play(world)
    world.check_accounts()
    assert (world.folder.model).is_dir() and sum(map(world.restarts, KINDS)) == 0


async def test_the_log_has_steps_checkpoints_replaced_actors_and_every_task(tmp_path: Path) -> None:
    world = World(tmp_path, steps=4)

    async def monkey() -> None:
        while not world.folder.rows:
            await turns(1)
        world.kill("doctor")

    assert await play(world, monkey)
    lines = (world.folder.logs / "driver.log").read_text().splitlines()
    assert all(" run=run actor=driver task=" in line for line in lines)
    for said in ("published policy_version 3", "wrote the checkpoint", "doctor-0 died; starting another"):
        assert sum(said in line for line in lines) >= 1, said
    leased = "task=task-0 actors.task_states: leased by=doctor-0"
    assert any(leased in line for line in lines) and any("task=task-0 actors.doctor: put a group" in x for x in lines)


async def test_the_event_loop_continues_while_rollouts_are_written_and_their_order_is_kept(tmp_path: Path) -> None:
    world, allowed, began = World(tmp_path, steps=3), threading.Semaphore(0), list[int]()
    write = world.folder.write_rollouts

    def slow_write(step: int, groups: Sequence[Group], *said: Any) -> None:
        began.append(step)
        assert allowed.acquire(timeout=30), "the event loop waits for the disk"
        write(step, groups, *said)

    async def monkey() -> None:
        for step in (1, 2, 3):
            while len(began) < step:
                await turns(1)
            await turns(50)
            assert len(world.folder.rows) == step - 1, "a step was made before its rollouts were on the disk"
            allowed.release()

    world.folder.write_rollouts = slow_write  # type: ignore[method-assign]
    assert await play(world, monkey)
    assert began == [1, 2, 3]
    world.check_accounts()
    assert [file.name for file in sorted((world.folder.path / "rollouts").iterdir())] == [
        f"step-0000{step}.parquet" for step in began
    ]


async def test_rollouts_that_the_disk_refuses_end_the_run_before_their_step(tmp_path: Path) -> None:
    world = World(tmp_path, steps=3)
    write = world.folder.write_rollouts

    def full(step: int, groups: Sequence[Group], *said: Any) -> None:
        if step == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(step, groups, *said)

    world.folder.write_rollouts = full  # type: ignore[method-assign]
    with pytest.raises(OSError, match="No space left"):
        await play(world)
    world.check_accounts(1)


async def test_a_batch_that_is_lost_on_its_way_from_a_dead_buffer_is_rolled_out_again(tmp_path: Path) -> None:
    world = World(tmp_path, steps=5)
    fetched, calls = world.placement.fetched, list[int]()

    def once_lost(references: Sequence[Group]) -> list[Group]:
        calls.append(len(references))
        if len(calls) == 4:
            world.kill("buffer")
            raise OwnerDiedError("00", "", "")
        return fetched(references)

    world.placement.fetched = once_lost  # type: ignore[method-assign]
    assert await play(world)
    world.check_accounts()
    assert world.restarts("buffer") == 1 and len(calls) == 6  # the checkpoint is of step 3


async def test_a_run_that_plays_two_games_trains_on_both(tmp_path: Path) -> None:
    games = read([{"id": "verdict", "data": {"proposer_tries": 0}}, "contradiction"])
    world = World(tmp_path, steps=12, env=environment_of(games, 0))
    assert await play(world)
    world.check_accounts()
    trained = replay(world.folder.journal, 12).trained
    assert {world.env.plan(index).env for index in trained} == {"verdict", "contradiction"}


async def test_the_death_of_the_process_that_prepares_the_model_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(_: FakePlacement) -> Handle:
        handle = Handle(FakePreparation())
        handle.dead.set()
        return handle

    monkeypatch.setattr(FakePlacement, "preparation", dead)
    with pytest.raises(RuntimeError, match=r"^the process that prepares the model died, usually since memory [^\n]+$"):
        await play(World(tmp_path))


async def test_a_lost_rank_rolls_the_run_back_to_its_newest_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path)

    async def monkey() -> None:
        while len(world.folder.rows) < 5:
            await asyncio.sleep(0)
        world.kill("rank")

    assert await play(world, monkey)
    said = capsys.readouterr().out
    assert "learner rank 0 died" in said and "starting over from the newest checkpoint" in said
    assert f"going on after step 3: {world.folder.path / 'checkpoints' / 'step-00003'} is the newest whole" in said


async def test_a_run_whose_engine_dies_again_and_again_checkpoints_and_ends_with_one_message(tmp_path: Path) -> None:
    world = World(tmp_path, steps=999)

    async def monkey() -> None:
        while len(world.folder.rows) < 4:
            await asyncio.sleep(0)
        while True:
            world.kill("engine")
            await asyncio.sleep(0)

    with pytest.raises(BudgetSpent, match=f"gave up after {MAX_RESTARTS} restarts"):
        await play(world, monkey)
    found = checkpoint.newest(world.folder.path).checkpoint
    assert found is not None and found.manifest.step == len(world.folder.rows) >= 4


async def test_a_run_that_gives_up_during_an_evaluation_ends_though_no_engine_answers_it(tmp_path: Path) -> None:
    """The learner waits for the evaluation, which waits for engines that nobody starts any more."""
    world, spent = World(tmp_path, steps=999), asyncio.Event()

    class Waiting:
        """A held-out curve whose evaluation holds the version until it is cancelled."""

        def __init__(self, *_: object) -> None:
            self.running: asyncio.Task[None] | None = None

        def attach(self, pool: object, hold: Callable[[], AbstractAsyncContextManager[int]]) -> None:
            self.hold = hold

        def stepped(self, version: int) -> None:
            if version == 2:
                self.running = asyncio.ensure_future(self.evaluate())

        async def evaluate(self) -> None:
            async with self.hold():
                spent.set()
                await asyncio.Event().wait()

        def close(self) -> None:
            if self.running is not None:
                self.running.cancel()

    async def monkey() -> None:
        await spent.wait()
        while True:
            world.kill("engine")
            await asyncio.sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "HeldoutCurve", Waiting)
        with pytest.raises(BudgetSpent, match=f"gave up after {MAX_RESTARTS} restarts"):
            await play(world, monkey)
    assert spent.is_set(), "the evaluation never began"
    assert [row["step"] for row in world.folder.rows][-1] >= 2


async def test_nothing_of_an_attempt_is_left_when_the_next_one_fails_before_it_has_its_own(tmp_path: Path) -> None:
    world = World(tmp_path, steps=4)
    assert await play(world)
    assert world.run._supervisor is None and world.run._curve is None
