"""The log of a process, in a real file."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import logs
from common.logs import Origin, kept, working_on

LINE = re.compile(r"[\d-]+ [\d:,]+ (\w+) run=smoke actor=doctor-0 task=(.+?) (\S+): (.*)")
OURS, THEIRS = logging.getLogger("actors.anything"), logging.getLogger("somebody.else")


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    (tmp_path / "logs").mkdir()
    return Origin(run="smoke", actor="doctor-0", folder=tmp_path / "logs")


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """As they were."""
    loggers = [logging.getLogger(name) for name in (None, *logs.PACKAGES)]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers = handlers


def lines(origin: Origin) -> list[tuple[str, ...]]:
    """Level, task, module and message of each line."""
    text = (origin.folder / "doctor-0.log").read_text()
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    return [match.groups() for match in found if match is not None]


def test_a_line_names_run_actor_and_task(origin: Origin) -> None:
    with kept(origin):
        OURS.info("starts")
        with working_on("note-7"):
            OURS.debug("put %d", 8)
            THEIRS.warning("a game's own line")
        OURS.debug("leased", extra={"task": "note-8"})
    assert lines(origin) == [
        ("INFO", "-", "actors.anything", "starts"),
        ("DEBUG", "note-7", "actors.anything", "put 8"),
        ("WARNING", "note-7", "somebody.else", "a game's own line"),
        ("DEBUG", "note-8", "actors.anything", "leased"),
    ]


async def test_tasks_in_parallel_keep_their_own_lines(origin: Origin) -> None:
    async def work(task: str) -> None:
        with working_on(task):
            await asyncio.sleep(0)
            OURS.info("of %s", task)

    with kept(origin):
        await asyncio.gather(*(work(f"note-{number}") for number in range(5)))
    assert all(message == f"of {task}" for _, task, _, message in lines(origin)) and len(lines(origin)) == 5


def test_what_others_debug_and_what_is_said_afterwards_is_left_out(origin: Origin) -> None:
    with kept(origin):
        THEIRS.debug("details")
    OURS.info("too late")
    assert not (origin.folder / "doctor-0.log").exists()


def test_an_actor_older_than_the_folder_begins_its_file_when_the_folder_is_made(tmp_path: Path) -> None:
    origin = Origin(run="smoke", actor="doctor-0", folder=tmp_path / "logs")
    with kept(origin):
        OURS.info("nowhere")
        origin.folder.mkdir()
        OURS.info("here")
    assert [message for *_, message in lines(origin)] == ["here"]


def test_without_the_folder_an_actors_lines_go_to_stderr_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.begin(Origin(run="smoke", actor="doctor-0", folder=tmp_path / "logs"))
    OURS.info("serves")
    OURS.debug("details")
    said = capsys.readouterr().err
    assert LINE.fullmatch(said.strip()) and "serves" in said and not list(tmp_path.iterdir())


def test_the_files_of_an_actor_are_bounded(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 1000)
    with kept(origin):
        for number in range(200):
            OURS.info("line %d", number)
    files = sorted(origin.folder.iterdir())
    assert [file.name for file in files] == ["doctor-0.log", "doctor-0.log.1"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert lines(origin)[-1][-1] == "line 199"
