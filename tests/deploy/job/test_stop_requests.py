from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from learner import checkpoint
from tests.deploy.job.run_world import World, play

pytestmark = pytest.mark.usefixtures("fakes")


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
