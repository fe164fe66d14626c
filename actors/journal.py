"""The replay buffer's journal: one JSON line per transition, and its replay on resume.

A task's index never changes, so folding the lines in order gives the state of every task. Only tasks are kept, not
rollouts: what was in flight is rolled out again. A `resumed` line undoes what came after its step, exactly as the
resume that wrote it did; without it a second replay would count the abandoned batches as trained.

Every line ends with the crc32 of the rest of it, so a torn line is detected. Durable lines are synced to disk at once,
the others in batches (`SYNC_LINES`, `SYNC_SECONDS`). When the file has doubled it is atomically rewritten with the
lines that a resume may still need.

A process that opens a journal continues in a new file, which takes over the name. A process that was declared dead and
wakes up again (SIGSTOP, swap) then writes into a file without a name, and cannot take the name back.
"""

from __future__ import annotations

import errno
import logging
import os
import uuid
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from common.buffer_records import TaskState
from common.records import LabelledTask, Record

LOG = logging.getLogger(__name__)

SYNC_LINES, SYNC_SECONDS = 256, 1.0
"""Maximum time before lines that are not durable are synced. Losing them loses only work: their tasks are made or
rolled out again. So at most a second of work is lost, and up to 256 lines share one fsync."""

WORTHWHILE_BYTES = 1 << 20
"""A smaller journal is never compacted, because its replay is fast."""

_MARK = b',"crc":"'
_BATCHED = (TaskState.BATCHED, TaskState.TRAINED)


class Event(Record, omit_defaults=True):
    """One transition of the tasks at `indices` (plan indices).

    `state` is the new state: claimed, unclaimed, a TaskState; or, without indices, `resumed`
    or `compacted`.
    """

    state: str
    indices: tuple[int, ...] = ()
    step: int = 0  # batched, trained: the policy_version that this batch makes; resumed, compacted: the checkpoint's
    by: str = ""  # claimed, leased: the actor
    reason: str = ""  # rejected
    version: int = 0  # leased: the policy_version at that time
    labelled: LabelledTask | None = None  # ready, the first time
    task_ids: tuple[str, ...] = ()  # compacted: ids of the dropped tasks, so that no duplicate is accepted

    def __str__(self) -> str:
        said = {"by": self.by, "reason": self.reason, "step": self.step}
        return " ".join([self.state, *(f"{name}={value}" for name, value in said.items() if value)])


_DECODER = msgspec.json.Decoder(Event)


class Recovered(Record):
    """A journal's state at a checkpoint: every index below `next_index` is in exactly one of the collections."""

    next_index: int
    ready: dict[int, LabelledTask]  # in plan order
    unclaimed: tuple[int, ...]  # was given to a Scribe, but no task resulted
    trained: dict[int, int]  # index -> step
    rejected: dict[int, str]  # index -> reason
    task_ids: frozenset[str]  # of all tasks so far
    dropped_lines: int  # the last one if it was torn, and damaged ones


class Journal:
    """Append-only JSON lines at `path`, which no other process can write any more. A torn last line is dropped.

    Raises ValueError, one line, when a write fails: then the transition is not in the file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._worthwhile = WORTHWHILE_BYTES
        self._fault = ""
        for left in path.parent.glob(
            f"{path.name}.*.new"
        ):  # truncated, so that a process that wakes up has nothing to rename
            left.unlink(missing_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._go_on_with([_without_torn_line(path.read_bytes())])

    @property
    def unsynced(self) -> bool:
        """Whether a line is not synced yet."""
        return self._unsynced > 0

    def write(self, event: Event, durable: bool = False) -> None:
        """Append one line and flush it to the operating system; `durable` also waits for the disk."""
        if self._fault:
            raise ValueError(self._fault)
        line = _sealed(event)
        try:
            _write_all(self._file, line)
        except OSError as error:
            os.ftruncate(self._file, self._bytes)  # remove a partly written line
            raise ValueError(self._refused(error)) from error
        self._unsynced += 1
        if durable or self._unsynced >= SYNC_LINES:
            self.sync()
        self._bytes += len(line)

    def sync(self) -> None:
        """Wait until every line is on disk. After a failure nothing is written any more."""
        try:
            os.fsync(self._file)
        except OSError as error:  # the disk's state is unknown, and a second fsync would not report it
            self._fault = self._refused(error)
            os.ftruncate(self._file, self._bytes)
            raise ValueError(self._fault) from error
        self._unsynced = 0

    def compact(self, oldest_step: int) -> None:
        """Drop the lines that no resume at `oldest_step` or later needs, if the file doubled since the last compaction.

        A crash leaves the old file or the new one; both replay to the same state at each of those steps.
        """
        if self._bytes < self._worthwhile:
            return
        fold, _ = _folded(self._path, self._path.read_bytes())
        self._go_on_with(_sealed(event) for event in fold.events(oldest_step))
        self._worthwhile = max(WORTHWHILE_BYTES, 2 * self._bytes)

    def _go_on_with(self, lines: Iterable[bytes]) -> None:
        """Replace the file atomically by a new one that begins with `lines`."""
        temporary = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}.new")
        new = os.open(temporary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            size = sum(_write_all(new, line) for line in lines)
            os.fsync(new)
            if not os.path.samestat(os.fstat(self._file), os.stat(self._path)):
                raise OSError(errno.ESTALE, "another process has taken it over")
            os.replace(temporary, self._path)
        except OSError as error:
            os.close(new)
            temporary.unlink(missing_ok=True)
            raise ValueError(self._refused(error)) from error
        os.close(self._file)
        self._file, self._bytes, self._unsynced = new, size, 0
        _sync_folder(self._path)

    def close(self) -> None:
        """Close the file. Lines that were not synced are in the operating system's cache, not yet on disk."""
        os.close(self._file)
        self._file = -1  # the descriptor's number may be reused

    def _refused(self, error: OSError) -> str:
        return f"{self._path} cannot be written ({error.strerror}): make room, then continue with --resume"


def replay(path: Path, trained_steps: int) -> Recovered:
    """The buffer's state at the checkpoint after `trained_steps` learner steps.

    Batches of those steps are trained, even if the run died before recording their release. Batches of later steps and
    everything in flight are ready again, in plan order; rejected tasks stay rejected. A torn last line and damaged ones
    are dropped and counted. Raises ValueError when the file is missing, or holds nothing that can be read.
    """
    if not path.is_file():
        raise ValueError(f"{path}: a run resumes from its journal, and this one is missing; start a new run instead")
    data = path.read_bytes()
    whole = _without_torn_line(data)
    fold, damaged = _folded(path, whole)
    if trained_steps < fold.oldest_step:
        raise ValueError(
            f"{path}: was compacted when step {fold.oldest_step} had the oldest checkpoint, so it cannot go back to "
            f"step {trained_steps}; resume from a later checkpoint"
        )
    fold.roll_back(trained_steps)
    return fold.recovered(dropped_lines=damaged + int(len(whole) < len(data)))


def _sealed(event: Event) -> bytes:
    body = msgspec.json.encode(event)[:-1]
    return b'%s%s%08x"}\n' % (body, _MARK, zlib.crc32(body))


def _opened(line: bytes) -> bytes | None:
    """The JSON of an event, or None when the checksum does not match."""
    body, _, seal = line.rpartition(_MARK)
    return body + b"}" if seal == b'%08x"}' % zlib.crc32(body) else None


def _without_torn_line(data: bytes) -> bytes:
    start = data[:-1].rfind(b"\n") + 1
    last = data[start:]
    return data if last.endswith(b"\n") and _opened(last[:-1]) is not None else data[:start]


def _write_all(file: int, data: bytes) -> int:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
    return len(data)


def _sync_folder(path: Path) -> None:
    """Sync the file's folder entry to disk."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _folded(path: Path, data: bytes) -> tuple[_Fold, int]:
    """The state after all lines, and how many of them were damaged: those are left out, and logged.

    A task of which a line is missing is at worst made again, or trained on once more. Raises ValueError for a file
    without any line that can be read.
    """
    fold, damaged = _Fold(), 0
    lines = data.split(b"\n")[:-1]
    for number, line in enumerate(lines, start=1):
        try:
            fold.apply(_event(line))
        except ValueError as error:  # msgspec.DecodeError is one
            damaged += 1
            LOG.warning(f"{path}:{number}: left out, it is no line of a journal ({error})")
    if damaged and damaged == len(lines):
        raise ValueError(f"{path}: holds no line of a journal; restore it from a copy, or start a new run")
    return fold, damaged


def _event(line: bytes) -> Event:
    body = _opened(line)
    if body is None:
        raise ValueError("its checksum does not match")
    return _DECODER.decode(body)


class _Fold:
    """Folds events into the newest state of each index."""

    def __init__(self) -> None:
        self.oldest_step = 0  # oldest step to which the lines can be replayed
        self._state: dict[int, tuple[str, int, str]] = {}  # index -> state, step, reason
        self._labelled: dict[int, LabelledTask] = {}
        self._task_ids: set[str] = set()

    def apply(self, event: Event) -> None:
        if event.state == "resumed":
            return self.roll_back(event.step)
        if event.state == "compacted":
            self.oldest_step = event.step
            self._task_ids.update(event.task_ids)
        for index in event.indices:
            self._state[index] = (event.state, event.step, event.reason)
            if event.labelled is not None:
                self._labelled[index] = event.labelled
                self._task_ids.add(event.labelled.task.task_id)

    def roll_back(self, trained_steps: int) -> None:
        for index, (state, step, _) in self._state.items():
            if state in _BATCHED and step <= trained_steps:
                self._state[index] = (TaskState.TRAINED, step, "")
            elif state != "rejected":
                self._state[index] = (TaskState.READY if index in self._labelled else "unclaimed", 0, "")

    def events(self, oldest_step: int) -> Iterator[Event]:
        """The shortest list of events with the same state at every step from `oldest_step` on."""
        oldest_step = max(oldest_step, self.oldest_step)
        same: dict[tuple[str, int, str], list[int]] = {}
        live: dict[int, LabelledTask] = {}
        for index, (state, step, reason) in sorted(self._state.items()):
            over = state == TaskState.REJECTED or (state in _BATCHED and step <= oldest_step)
            if index in self._labelled and not over:
                live[index] = self._labelled[index]
            if index not in live or state in _BATCHED:  # otherwise it is ready, or will be after a resume
                same.setdefault((state, step, reason), []).append(index)
        left_out = self._task_ids - {labelled.task.task_id for labelled in live.values()}
        for index, labelled in live.items():
            yield Event(state=TaskState.READY, indices=(index,), labelled=labelled)
        for (state, step, reason), indices in same.items():
            yield Event(state=state, indices=tuple(indices), step=step, reason=reason)
        yield Event(state="compacted", step=oldest_step, task_ids=tuple(sorted(left_out)))

    def recovered(self, dropped_lines: int) -> Recovered:
        state = dict(sorted(self._state.items()))
        return Recovered(
            next_index=max(state, default=-1) + 1,
            ready={index: self._labelled[index] for index, (name, _, _) in state.items() if name == TaskState.READY},
            unclaimed=tuple(index for index, (name, _, _) in state.items() if name == "unclaimed"),
            trained={index: step for index, (name, step, _) in state.items() if name == TaskState.TRAINED},
            rejected={index: reason for index, (name, _, reason) in state.items() if name == TaskState.REJECTED},
            task_ids=frozenset(self._task_ids),
            dropped_lines=dropped_lines,
        )
