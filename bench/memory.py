"""Peak memory of a process and all its descendants, sampled while they run."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType

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


class PeakMemory:
    """Context manager: samples the tree of `pid` (this process by default) every `period` seconds."""

    def __init__(self, pid: int | None = None, period: float = 10.0) -> None:
        self._pid = os.getpid() if pid is None else pid
        self._period = period
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._peak = 0

    @property
    def gib(self) -> float:
        """The largest sum seen so far, GiB."""
        return self._peak / GIB

    def _watch(self) -> None:
        while True:
            self._peak = max(self._peak, tree_bytes(self._pid))
            if self._stop.wait(self._period):
                return

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
