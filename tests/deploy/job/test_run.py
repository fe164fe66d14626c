from __future__ import annotations

import asyncio
import errno
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.exceptions import OwnerDiedError

from actors.journal import replay
from actors.restarts import MAX_RESTARTS, BudgetSpent
from common.config import RunSpec
from common.records import Group
from deploy.job import run as run_module
from envs.contract.registry import environment_of
from envs.contract.spec import read
from learner import checkpoint
from simulator.fakes import Handle
from tests.deploy.job.run_world import FakePlacement, FakePreparation, World, faked, play, turns

KINDS = ("scribe", "doctor", "engine", "core", "buffer", "rank", "pool")


@pytest.fixture(scope="module", autouse=True)
def fakes() -> Iterator[None]:
    with faked():
        yield


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


def test_a_run_continues_whatever_is_killed_and_its_tasks_are_accounted_for() -> None:
    hits, restarts = Counter[str](), list[float]()

    @settings(max_examples=10)
    @given(kills=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 400)), min_size=1, max_size=4))
    def survives(kills: list[tuple[str, int]]) -> None:
        with tempfile.TemporaryDirectory() as runs:
            world = World(Path(runs))
            assert asyncio.run(_killed(world, kills, hits))
            world.check_accounts()
            restarts.append(sum(map(world.restarts, KINDS)))

    survives()
    assert hits.total() > 5 and sum(restarts) > 0, (hits, restarts)


async def test_an_engine_that_dies_as_the_run_starts_over_is_replaced(tmp_path: Path) -> None:
    """Found by the test above."""
    world, hits = World(tmp_path), Counter[str]()
    assert await _killed(world, [("pool", 292), ("core", 100), ("engine", 71)], hits)
    world.check_accounts()
    assert hits["pool"] == 1 and world.restarts("pool") >= 1


async def test_a_rank_that_dies_before_there_is_a_buffer_costs_a_start(tmp_path: Path) -> None:
    """Found by the same test: there is no journal yet to go on from."""
    world, hits = World(tmp_path), Counter[str]()
    assert await _killed(world, [("rank", 6)], hits)
    world.check_accounts()
    assert hits["rank"] == 1 and world.restarts("rank") == 1


async def _killed(world: World, kills: list[tuple[str, int]], hits: Counter[str]) -> bool:
    """The run under kills; `hits` are those that met a living actor."""

    async def monkey() -> None:
        for kind, after in kills:
            await turns(after)
            hits[kind] += world.kill(kind)

    return await play(world, monkey)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_death_is_counted_as_its_kind(tmp_path: Path, kind: str) -> None:
    world = World(tmp_path)

    async def monkey() -> None:
        while len(world.folder.rows) < 4:
            await asyncio.sleep(0)
        assert world.kill(kind)

    assert await play(world, monkey)
    world.check_accounts()
    assert world.restarts(kind) >= 1


SIZES = st.fixed_dictionaries({name: st.integers(1, 3) for name in ("scribes", "doctors", "engines")})


def test_any_sequence_of_sizes_and_deaths_ends_with_the_wanted_actors_and_no_lost_task() -> None:
    hits = Counter[str]()

    @settings(max_examples=10)
    @given(
        changes=st.lists(st.tuples(SIZES, st.integers(0, 150), st.sampled_from(["", *KINDS])), min_size=1, max_size=4)
    )
    def ends(changes: list[tuple[dict[str, int], int, str]]) -> None:
        with tempfile.TemporaryDirectory() as runs:
            world = World(Path(runs), steps=9999)
            asyncio.run(_resized(world, changes, hits))
            world.check_accounts(len(world.folder.rows))
            counts = changes[-1][0]
            spec = RunSpec.model_validate(yaml.safe_load((world.folder.path / "spec.yaml").read_text()))
            assert spec == world.run.spec
            assert (spec.rollout.scribes, spec.rollout.doctors) == (counts["scribes"], counts["doctors"])

    ends()
    assert hits.total(), "nobody died in any of them"


async def _resized(world: World, changes: list[tuple[dict[str, int], int, str]], hits: Counter[str]) -> None:
    """The run, until what was asked for last is there, and a step after that."""

    async def monkey() -> None:
        while not world.folder.rows:
            await asyncio.sleep(0)
        for sizes, after, dies in changes:
            while world.folder.change.exists():
                await asyncio.sleep(0)
            world.ask(**sizes)
            await turns(after)
            if dies:
                hits[dies] += world.kill(dies)
        while world.serving() != changes[-1][0]:
            await turns(20)  # to look takes longer than a turn
        made = len(world.folder.rows)
        while len(world.folder.rows) < made + 3:
            await asyncio.sleep(0)
        world.run._stops.signalled()

    assert not await play(world, monkey)


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


async def ended_by(world: World, ask: Callable[[], None]) -> None:
    """Play, ask the run to end after its fourth step, and look for the checkpoint of the step that was its last."""

    async def monkey() -> None:
        while len(world.folder.rows) < 4:
            await asyncio.sleep(0)
        ask()

    assert not await play(world, monkey)
    found = checkpoint.newest(world.folder.path).checkpoint
    assert found is not None and found.manifest.step == len(world.folder.rows) >= 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_or_sigterm_finishes_the_step_and_checkpoints_it(tmp_path: Path, number: signal.Signals) -> None:
    await ended_by(World(tmp_path, steps=999), lambda: signal.raise_signal(number))


async def test_word_from_another_terminal_finishes_the_step_and_checkpoints_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, steps=9999)
    await ended_by(world, world.folder.ask_to_stop)
    assert "as medserl stop requests" in capsys.readouterr().out
    assert not world.folder.asked_to_stop(), "the next run would stop at once"


async def test_a_run_that_is_asked_to_stop_while_it_starts_ends_before_its_first_step(tmp_path: Path) -> None:
    world = World(tmp_path, steps=999)
    world.run._stops.ask("asked")
    assert not await play(world) and world.folder.rows == []


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


async def test_a_stop_file_that_cannot_be_removed_is_told_once_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, asked = World(tmp_path, steps=4), list[int]()

    def refused() -> bool:
        asked.append(1)
        if len(asked) > 1:  # the first time is when the folder is locked
            raise PermissionError(errno.EACCES, "Permission denied")
        return False

    monkeypatch.setattr(world.folder, "asked_to_stop", refused)
    assert await play(world)
    assert len(asked) > 1 and capsys.readouterr().out.count("medserl stop cannot be heard") == 1
