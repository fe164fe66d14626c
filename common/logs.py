"""The log of one process of a run: `runs/NAME/logs/ACTOR.log`, where every line names the run, the actor and the task.

    2026-01-31 12:00:00,123 DEBUG run=smoke actor=doctor-0 task=b7b909ae actors.doctor: put a group of 8

Code anywhere below writes with `logging.getLogger(__name__)`: INFO for what is rare, DEBUG for what happens to each
task. The task is the one of the enclosing `working_on`, so that a game's own lines have it too, or that of the call:
`extra={"task": task_id}`.

Warnings and INFO also go to the process's stderr, which Ray keeps in its own log. Where the run's folder does not
exist, as on another machine without a shared disk, that is the only log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler
from pathlib import Path

from common.records import Record

MAX_BYTES = 4 << 20
"""Of an actor's file. A full one becomes `ACTOR.log.1`, in the place of the one before."""

PACKAGES = ("actors", "common", "deploy", "envs", "evals", "learner")
"""Whose DEBUG lines are kept; of other modules, INFO and above."""

_LINE = "%(asctime)s %(levelname)s run=%(run)s actor=%(actor)s task=%(task)s %(name)s: %(message)s"
_TASK: ContextVar[str] = ContextVar("task", default="-")


class Origin(Record):
    """Whose log it is. `folder` is the run's `logs`, which only the driver makes."""

    run: str
    actor: str
    folder: Path


def begin(origin: Origin) -> None:
    """Keep the log of this process, to its end."""
    _add(_file(origin), _stderr(origin))


@contextmanager
def kept(origin: Origin) -> Iterator[None]:
    """Keep the log of this process while inside, and leave stderr alone: people look at it."""
    loggers = [logging.getLogger(name) for name in ("", *PACKAGES)]
    before, file = [logger.level for logger in loggers], _file(origin)
    _add(file)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(file)
        file.close()
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def working_on(task: str) -> Iterator[None]:
    """Lines written inside, by this asyncio task or thread, are about `task`."""
    token = _TASK.set(task)
    try:
        yield
    finally:
        _TASK.reset(token)


class _LogFile(RotatingFileHandler):
    """Opened by the first line after its folder was made: some actors start before the run has a folder."""

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not None or Path(self.baseFilename).parent.is_dir():
            super().emit(record)


def _file(origin: Origin) -> logging.Handler:
    path = origin.folder / f"{origin.actor}.log"
    return _stamping(origin, _LogFile(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", delay=True))


def _stderr(origin: Origin) -> logging.Handler:
    handler = _stamping(origin, logging.StreamHandler())
    handler.setLevel(logging.INFO)
    return handler


def _stamping(origin: Origin, handler: logging.Handler) -> logging.Handler:
    def stamp(record: logging.LogRecord) -> bool:
        record.run, record.actor = origin.run, origin.actor
        record.task = getattr(record, "task", _TASK.get())
        return True

    handler.addFilter(stamp)
    handler.setFormatter(logging.Formatter(_LINE))
    return handler


def _add(*handlers: logging.Handler) -> None:
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.DEBUG)
