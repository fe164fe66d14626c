"""The replay buffer's journal: one JSON line a transition, appended and flushed, and its replay on resume.

A task's index never changes, so folding the lines in order gives the state of every task. Only tasks are kept, not
rollouts: what was in flight is rolled out again. A `resumed` line undoes what came after its step, exactly as the
resume that wrote it did; without it a second replay would count the abandoned batches as trained.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from common.records import LabelledTask, Record


class Event(Record, omit_defaults=True):
    """One transition of the tasks at `indices` (plan indices).

    `state` is the new state: claimed, unclaimed, one of `common.metrics.BUFFER_STATES`, or `resumed` (no indices).
    """

    state: str
    indices: tuple[int, ...] = ()
    step: int = 0  # batched, trained: the policy_version that this batch makes; resumed: the checkpoint's
    by: str = ""  # claimed, leased: the actor
    reason: str = ""  # rejected
    version: int = 0  # leased: the policy_version at that moment
    labelled: LabelledTask | None = None  # ready, the first time


class Recovered(Record):
    """What a journal says at a checkpoint: every index below `next_index` is in exactly one of the collections."""

    next_index: int
    ready: dict[int, LabelledTask]  # in plan order
    unclaimed: tuple[int, ...]  # given to a Scribe once, but no task came of it
    trained: dict[int, int]  # index -> step
    rejected: dict[int, str]  # index -> reason
    task_ids: frozenset[str]  # of every task that ever was
    dropped_lines: int  # 1 when the last line was half-written


class Journal:
    """Append-only JSON lines at `path`. Cuts off a half-written last line before appending."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        whole = _whole_lines(path.read_bytes())
        self._file.truncate(len(whole))
        self._encoder = msgspec.json.Encoder()

    def write(self, event: Event, durable: bool = False) -> None:
        """Append one line and hand it to the operating system; `durable` waits for the disk too."""
        self._file.write(self._encoder.encode(event) + b"\n")
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def replay(path: Path, trained_steps: int) -> Recovered:
    """The buffer's state at the checkpoint that `trained_steps` learner steps made.

    Batches of those steps are trained, even if the run died before it noted their release. Batches of later steps and
    everything in flight are ready again, in plan order; rejected tasks stay rejected. A half-written last line is
    dropped and counted. Raises ValueError, naming file and line, if another line cannot be read.
    """
    if not path.is_file():
        raise ValueError(f"{path}: a run resumes from its journal, and this one is missing; start a new run instead")
    data = path.read_bytes()
    whole = _whole_lines(data)
    fold = _Fold()
    for event in _events(path, whole):
        fold.apply(event)
    fold.roll_back(trained_steps)
    return fold.recovered(dropped_lines=int(len(whole) < len(data)))


def _whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _events(path: Path, data: bytes) -> Iterator[Event]:
    decoder = msgspec.json.Decoder(Event)
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError as error:
            raise ValueError(
                f"{path}:{number}: not a journal line ({error}); restore the file from a copy, or start a new run"
            ) from error


class _Fold:
    """The newest state of each index."""

    def __init__(self) -> None:
        self._state: dict[int, tuple[str, int, str]] = {}  # index -> state, step, reason
        self._labelled: dict[int, LabelledTask] = {}

    def apply(self, event: Event) -> None:
        if event.state == "resumed":
            return self.roll_back(event.step)
        for index in event.indices:
            self._state[index] = (event.state, event.step, event.reason)
            if event.labelled is not None:
                self._labelled[index] = event.labelled

    def roll_back(self, trained_steps: int) -> None:
        for index, (state, step, _) in self._state.items():
            if state in ("batched", "trained") and step <= trained_steps:
                self._state[index] = ("trained", step, "")
            elif state != "rejected":
                self._state[index] = ("ready" if index in self._labelled else "unclaimed", 0, "")

    def recovered(self, dropped_lines: int) -> Recovered:
        state = dict(sorted(self._state.items()))
        return Recovered(
            next_index=max(state, default=-1) + 1,
            ready={index: self._labelled[index] for index, (name, _, _) in state.items() if name == "ready"},
            unclaimed=tuple(index for index, (name, _, _) in state.items() if name == "unclaimed"),
            trained={index: step for index, (name, step, _) in state.items() if name == "trained"},
            rejected={index: reason for index, (name, _, reason) in state.items() if name == "rejected"},
            task_ids=frozenset(labelled.task.task_id for labelled in self._labelled.values()),
            dropped_lines=dropped_lines,
        )
