"""Peak memory of a process and all its descendants, sampled while they run."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

GIB = 2**30


def tree_bytes(pid: int) -> int:
    """Proportional set size (PSS) of `pid` and its descendants, bytes: shared pages count once. 0 when it is gone."""
    try:
        root = psutil.Process(pid)
        members = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_pss(process.pid) for process in members)


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass  # it ended between the listing and the reading
    return 0


class Watch(ABC):
    """Context manager: looks at something from a thread, every `period` seconds and at the start."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @abstractmethod
    def _look(self) -> None:
        """Once."""

    def _watch(self) -> None:
        while True:
            self._look()
            if self._stop.wait(self._period):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


class PeakMemory(Watch):
    """Samples the tree of `pid` (this process by default) every `period` seconds."""

    def __init__(self, pid: int | None = None, period: float = 10.0) -> None:
        super().__init__(period)
        self._pid = os.getpid() if pid is None else pid
        self._peak = 0

    @property
    def gib(self) -> float:
        """The largest sum seen so far, GiB."""
        return self._peak / GIB

    def _look(self) -> None:
        self._peak = max(self._peak, tree_bytes(self._pid))
