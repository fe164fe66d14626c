"""`os` as the journal uses it, over real files: it crashes in the middle of a call, or its disk is full."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Crash(BaseException):
    """The process ended here: nothing may be cleaned up after it."""


class FragileOs:
    """Counts calls that change the disk. Knows what of each file was synced: a power failure may lose the rest."""

    def __init__(self) -> None:
        self.dead = False
        self.room: int | None = None  # bytes until the disk is full
        self.sync_fails = False
        self._calls_left: int | None = None
        self._share = 0.0
        self._synced: dict[int, int] = {}  # inode -> bytes

    def arm(self, calls: int, share: float) -> None:
        """Crash in the call after the next `calls`, when `share` of it is done."""
        self._calls_left, self._share = calls, share

    def restart(self) -> None:
        self.dead, self._calls_left = False, None

    def lose_power(self, path: Path, share: float) -> None:
        """Of what was not synced, `share` is left."""
        found = path.stat()
        synced = self._synced.get(found.st_ino, 0)
        os.truncate(path, synced + int(share * (found.st_size - synced)))

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, file: int, data: memoryview) -> int:
        size = len(data) if self.room is None else min(len(data), self.room)
        if not size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._ends_here():
            os.write(file, data[: int(self._share * size)])
            raise Crash
        if self.room is not None:
            self.room -= size
        return os.write(file, data[:size])

    def fsync(self, file: int) -> None:
        if self.sync_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        found = os.fstat(file)
        self._call(lambda: self._synced.__setitem__(found.st_ino, found.st_size))

    def replace(self, source: Path, target: Path) -> None:
        self._call(lambda: os.replace(source, target))

    def ftruncate(self, file: int, size: int) -> None:
        self._call(lambda: os.ftruncate(file, size))

    def _call(self, do: Callable[[], None]) -> None:
        ends = self._ends_here()
        if not ends or self._share >= 0.5:
            do()
        if ends:
            raise Crash

    def _ends_here(self) -> bool:
        if self.dead:
            raise Crash
        if self._calls_left is None:
            return False
        self._calls_left -= 1
        self.dead = self._calls_left < 0
        return self.dead
