"""Answers that survive a crash: a file whose first line holds the settings, and every further one an answer.

One writer, every line on disk before the next: another file than the journal of a run, which is flushed in groups.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from common.files import cut_torn_line
from common.records import Message, Record

Answered = TypeVar("Answered", bound=Record)


class Settings(Record):
    """Everything except the prompt that a reply depends on."""

    model: str
    checksum: str  # of the model folder
    dtype: str
    temperature: float
    samples: int
    max_tokens: int
    seed: int


class Journal(Generic[Answered]):
    """The file, opened for appending. Raises ValueError if it holds replies made with other settings.

    `kind` is the record of an answer, `key` its id, and `what` says what an answer is. A damaged line is no answer, so
    that it is asked for again; `damaged` has a line for people about each.
    """

    def __init__(
        self, path: Path, settings: Settings, kind: type[Answered], key: Callable[[Answered], str], what: str
    ) -> None:
        self._path, self._kind, self._key, self._what = path, kind, key, what
        self.answered: dict[str, Answered] = {}
        self.damaged = list[str]()
        cut_torn_line(path)
        lines = path.read_bytes().removesuffix(b"\n").split(b"\n") if path.exists() and path.stat().st_size else []
        if lines:
            self._check(lines[0], settings)
            for number, line in enumerate(lines[1:], 2):
                self._remember(number, line)
        self._file = path.open("ab")
        if not lines:
            self._write(settings)

    def add(self, answered: Answered) -> None:
        """Write an answer; it is on disk when this returns."""
        self._write(answered)
        self.answered[self._key(answered)] = answered

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, record: Record) -> None:
        self._file.write(msgspec.json.encode(record) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _check(self, line: bytes, settings: Settings) -> None:
        try:
            there = msgspec.json.decode(line, type=type(settings))
        except (ValueError, RecursionError):
            raise ValueError(f"{self._path}:1: not the settings of a run; give another --out folder") from None
        for name in settings.__struct_fields__:
            was, now = getattr(there, name), getattr(settings, name)
            if was != now:
                raise ValueError(
                    f"{self._path}: holds replies made with {name} {was}, and this run has {now}: give another --out "
                    "folder, or delete that file"
                )

    def _remember(self, number: int, line: bytes) -> None:
        try:
            answered = msgspec.json.decode(line, type=self._kind)
        except (ValueError, RecursionError) as error:
            self.damaged.append(f"{self._path}:{number}: left out, it is damaged: not {self._what} ({error})")
            return
        self.answered[self._key(answered)] = answered


def digest(messages: tuple[Message, ...]) -> str:
    """Identifies what was asked, so that an answer to something else is not taken for one to this."""
    return hashlib.sha256(msgspec.json.encode(messages)).hexdigest()[:16]
