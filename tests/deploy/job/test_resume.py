"""A resume changes nothing of its run before the learner has loaded the checkpoint, and loses nothing of it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.job import run_state
from deploy.job.run_state import RunState
from deploy.job.start import after_newest
from learner import checkpoint
from simulator.fakes import remote_error
from tests.deploy.job.run_world import FakeRank, World, play, turns

OF_THIS_PROCESS = ("lock", run_state.JOB)
"""What says who runs it; `logs/` too are of a process, whatever becomes of it."""


pytestmark = pytest.mark.usefixtures("fakes")


def contents(folder: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {n: path.read_bytes() for n, path in files.items() if n not in OF_THIS_PROCESS and not n.startswith("logs/")}


async def stopped(runs: Path) -> Path:
    """A run that stopped after its fourth step or later; what came after its checkpoint of step 3 is not on top."""
    world = World(runs, steps=999)

    async def monkey() -> None:
        while len(world.folder.rows) < 4:
            await turns(1)
        world.run._stops.signalled()

    assert not await play(world, monkey)
    run_state.record(world.folder.path, RunState.STOPPED)
    world.folder._lock.close()
    return world.folder.path


async def test_a_checkpoint_that_no_rank_can_load_leaves_the_run_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = await stopped(tmp_path)
    before, loads = contents(run), list[Path]()
    assert {"journal.jsonl", "metrics.jsonl", "spec.yaml", "applied.json", run_state.FILE} <= before.keys()

    async def read(rank: FakeRank, folder: Path) -> None:
        await turns(300)  # engines are up long before
        loads.append(folder)
        raise remote_error(ValueError(f"{folder} holds no learner checkpoint"))

    monkeypatch.setattr(FakeRank, "read", read)
    world = World(tmp_path, steps=1000, start=after_newest(run))
    world.folder.lock()
    capsys.readouterr()
    with pytest.raises(ValueError, match="holds no learner checkpoint"):
        await play(world)
    assert loads and contents(run) == before
    assert "going on after step" not in capsys.readouterr().out


async def test_journal_log_and_screen_follow_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = await stopped(tmp_path)
    before, found, whole = contents(run), list[bool](), FakeRank.read

    async def read(rank: FakeRank, folder: Path) -> None:
        await turns(300)
        found.append(contents(run) == before and "going on after" not in capsys.readouterr().out)
        await whole(rank, folder)

    monkeypatch.setattr(FakeRank, "read", read)
    start = after_newest(run)
    world = World(tmp_path, steps=start.version + 2, start=start)
    world.folder.lock()
    capsys.readouterr()
    assert await play(world)
    world.check_accounts()
    assert found == [True]
    assert f"going on after step {start.version}: " in capsys.readouterr().out
    assert b'"state":"resumed"' in (run / "journal.jsonl").read_bytes() and run_state.outcome(run) is None


async def test_an_interrupt_before_the_checkpoint_is_loaded_ends_the_run_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await stopped(tmp_path)
    asked, whole = asyncio.Event(), FakeRank.read

    async def read(rank: FakeRank, folder: Path) -> None:
        asked.set()
        await turns(300)
        await whole(rank, folder)

    monkeypatch.setattr(FakeRank, "read", read)
    start = after_newest(run)
    world = World(tmp_path, steps=1000, start=start)

    async def monkey() -> None:
        await asked.wait()
        world.run._stops.signalled()

    assert not await play(world, monkey)
    assert asked.is_set() and len(world.folder.rows) == start.version
    found = checkpoint.newest(run).checkpoint
    assert found is not None and found.manifest.step == start.version


def test_a_driver_that_is_killed_anywhere_is_resumed_and_its_tasks_are_accounted_for() -> None:
    deaths = list[int]()

    @settings(max_examples=4)
    @given(lives=st.lists(st.integers(0, 200), min_size=1, max_size=2))
    def survives(lives: list[int]) -> None:
        with tempfile.TemporaryDirectory() as home:
            run, died = Path(home) / "run", 0
            for moments in lives:
                died += asyncio.run(_live(Path(home), moments))
            last = _world(Path(home))
            assert asyncio.run(play(last))
            last.check_accounts()
            journal = (run / "journal.jsonl").read_bytes()
            assert journal.count(b'"state":"resumed"') == len(lives), "one for each life but the first"
            deaths.append(died)

    survives()
    assert sum(deaths) > 1, deaths


def _world(runs: Path) -> World:
    """The run's next life."""
    begun = (runs / "run" / "journal.jsonl").is_file()
    return World(runs, steps=5, start=after_newest(runs / "run") if begun else None)


async def _live(runs: Path, moments: int) -> bool:
    """A life that is killed so many turns of the event loop after its journal was opened; whether it was."""
    world = _world(runs)
    running = asyncio.ensure_future(world.run.go())
    while world.placement.buffer is None and not running.done():
        await asyncio.sleep(0)
    await turns(moments)
    died = not running.done()
    everything = asyncio.all_tasks() - {asyncio.current_task()}
    for task in everything:  # of the driver and, since they die with it, of its actors
        task.cancel()
    await asyncio.gather(*everything, return_exceptions=True)
    world.placement.buffer.actor._tasks.close()
    return died
