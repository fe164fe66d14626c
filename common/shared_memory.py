"""What a run keeps in this machine's shared memory: its names, whose it is, and the sweep of what the dead left.

Whoever makes a file or folder there holds a lock on it (flock) while it lives, and the kernel takes the lock away when
the process ends, however it ends. A process id alone would not do: containers that share /dev/shm count their processes
apart, so that one's living process has no id, or another's, in the next.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")
DYING_SECONDS = 1.0  # for a killed process to be gone
POLL_SECONDS = 0.05


def new_name(run: str) -> str:
    """A name that no other process has, of this or another run, user or container: `RUN-PID-RANDOM`."""
    return f"{run}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


class Claim:
    """A file or folder of shared memory that is this process's, for this user alone. Nothing is there before `hold`."""

    def __init__(self, path: Path, *, folder: bool = False) -> None:
        self._path, self._folder = path, folder
        self._lock: int | None = None

    def hold(self) -> None:
        """Make it and hold it, unless it is held already. One that somebody has removed is made again."""
        if self._lock is not None and not _is_at(self._path, self._lock):
            self.release()
        if self._lock is None:
            self._lock = _locked(self._path, self._folder)

    def release(self) -> None:
        """Give it up; what is there stays, and may be swept."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(path: Path, folder: bool) -> int:
    """Make `path` and lock it; returns the file descriptor that holds the lock."""
    while True:
        if folder:
            path.mkdir(mode=0o700, exist_ok=True)
            held = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        else:
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        if _is_at(path, held):
            return held
        os.close(held)  # a sweep was faster


def _is_at(path: Path, opened: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(opened))
    except FileNotFoundError:
        return False


def sweep_run(run: str) -> None:
    """Remove what a rank of `run` that died hard left in this machine's shared memory.

    What a living process has made stays, since another run may have the same name, and so does what another user owns.
    A process that was just killed gets a moment to be gone. Raises nothing: what may not be removed is left.
    """
    claimed = rf"medserl-{re.escape(run)}-(?P<pid>\d+)(-[0-9a-f]{{12}})?(-scribe)?-(weights|adapters)"
    of_run = re.compile(rf"(?P<claimed>{claimed})(\..+)?")
    ours = [(path, match) for path in _entries() if (match := of_run.fullmatch(path.name)) and _is_ours(path)]
    alive = _alive({int(match["pid"]) for _, match in ours})
    end = time.monotonic() + DYING_SECONDS  # for those whose ids are not known here
    for path, match in ours:
        if int(match["pid"]) not in alive:
            with _unclaimed(path.with_name(match["claimed"]), end) as unclaimed:
                if unclaimed:
                    _remove(path)


@contextmanager
def _unclaimed(path: Path, end: float) -> Iterator[bool]:
    """Whether no process that lives until `end` has claimed `path`, in whatever container; inside, none can."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        yield error.errno in (errno.ENOENT, errno.ELOOP)  # else it cannot be known
        return
    try:
        while not (locked := _lock(opened)) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        yield locked
    finally:
        os.close(opened)


def _lock(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _entries() -> list[Path]:
    try:
        return list(SHARED_MEMORY.iterdir())
    except OSError:  # there is none, or it may not be listed
        return []


def _is_ours(path: Path) -> bool:
    try:
        return path.lstat().st_uid == os.geteuid()
    except OSError:  # gone meanwhile
        return False


def _alive(pids: set[int]) -> set[int]:
    """Those that still run after `DYING_SECONDS`."""
    processes, alive = [], set[int]()
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    for process in psutil.wait_procs(processes, timeout=DYING_SECONDS)[1]:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.add(process.pid)
    return alive
