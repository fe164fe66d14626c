"""Ledger: the exactly-once half of the replay buffer. Every index given is in one state, and every change is journaled.

It moves tasks and counts them; who may move, and when, is the business of `actors.replay_buffer`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.journal import Event, Journal, replay
from common.metrics import BUFFER_STATES, REJECTED, Meter
from common.records import Group, LabelledTask


@dataclass
class Claim:
    """An index that a Scribe is making a task from."""

    scribe: str
    deadline: float


@dataclass
class Held:
    """A task that is neither trained nor rejected. `doctor`, `version` and `deadline` belong to its lease."""

    labelled: LabelledTask
    state: str = "ready"
    doctor: str = ""
    version: int = -1
    deadline: float = 0.0
    group: Group | None = None


class Ledger:
    """Tasks by state, over a new journal (`trained_steps` None) or the replayed one of an earlier run.

    Raises ValueError when the journal contradicts `trained_steps` or `batch_groups`, or exists and should not.
    """

    def __init__(self, journal: Path, trained_steps: int | None, batch_groups: int) -> None:
        self.claims: dict[int, Claim] = {}
        self.held: dict[int, Held] = {}
        self.version = trained_steps or 0
        self.trained = 0
        self.refused: Counter[str] = Counter()  # late, stale: results that came too late to be used
        self._unclaimed: list[int] = []  # given once and lost again: given first, lowest first
        self._next_index = self._returned = self._dropped_lines = 0
        self._index_of: dict[str, int] = {}  # task_id -> index, of held tasks
        self._task_ids: set[str] = set()
        self._rejected: Counter[str] = Counter()
        self._meter = Meter()
        if trained_steps is not None:
            self._recover(journal, trained_steps, batch_groups)
        elif journal.exists():
            raise ValueError(f"{journal}: this run exists already; resume it, or choose another name")
        self._journal = Journal(journal)
        if trained_steps is not None:
            self._journal.write(Event(state="resumed", step=trained_steps), durable=True)

    def _recover(self, path: Path, trained_steps: int, batch_groups: int) -> None:
        found = replay(path, trained_steps)
        if len(found.trained) != trained_steps * batch_groups:
            raise ValueError(
                f"{path}: {len(found.trained)} tasks were trained in {trained_steps} steps, which is not "
                f"learner.batch_groups {batch_groups} a step; resume with the batch_groups that the run began with"
            )
        self.held = {index: Held(labelled) for index, labelled in found.ready.items()}
        self._index_of = {held.labelled.task.task_id: index for index, held in self.held.items()}
        self._unclaimed, self._next_index = list(found.unclaimed), found.next_index
        self.trained = len(found.trained)
        self._rejected.update(found.rejected.values())
        self._task_ids.update(found.task_ids)
        self._dropped_lines = found.dropped_lines

    def claim(self, scribe: str, deadline: float) -> int:
        """Give an index out: the lowest that was given and lost, else the next of the plan."""
        if self._unclaimed:
            index = self._unclaimed.pop(0)
        else:
            index, self._next_index = self._next_index, self._next_index + 1
        self.claims[index] = Claim(scribe, deadline)
        self._journal.write(Event(state="claimed", indices=(index,), by=scribe))
        return index

    def settle(self, index: int) -> bool:
        """End a claim; False, and counted, when it was lost."""
        if self.claims.pop(index, None) is None:
            self.refused["late"] += 1
            return False
        return True

    def knows(self, task_id: str) -> bool:
        """Whether a task of this id was ever ready."""
        return task_id in self._task_ids

    def add(self, index: int, labelled: LabelledTask) -> None:
        """Settled -> ready."""
        self._task_ids.add(labelled.task.task_id)
        self._index_of[labelled.task.task_id] = index
        self.held[index] = Held(labelled)
        self._journal.write(Event(state="ready", indices=(index,), labelled=labelled))

    def lease(self, doctor: str, deadline: float) -> LabelledTask:
        """Ready -> leased, the first in plan order."""
        index = min(self.indices("ready"))
        held = self.held[index]
        held.state, held.doctor, held.version, held.deadline = "leased", doctor, self.version, deadline
        self._journal.write(Event(state="leased", indices=(index,), by=doctor, version=self.version))
        return held.labelled

    def leased_to(self, doctor: str, task_id: str) -> int | None:
        """The index of a task, if this Doctor holds its lease."""
        index = self._index_of.get(task_id)
        held = None if index is None else self.held[index]
        return index if held is not None and (held.state, held.doctor) == ("leased", doctor) else None

    def roll(self, index: int, group: Group) -> None:
        """Leased -> rolled."""
        self.held[index].state, self.held[index].group = "rolled", group
        self._journal.write(Event(state="rolled", indices=(index,)))

    def batch(self, indices: list[int]) -> tuple[Group, ...]:
        """Rolled -> batched. On disk when it returns: a checkpoint may follow, and then they must not come back."""
        groups = []
        for index in indices:
            held = self.held[index]
            assert held.group is not None
            held.state = "batched"
            groups.append(held.group)
        self._journal.write(Event(state="batched", indices=tuple(indices), step=self.version + 1), durable=True)
        return tuple(groups)

    def train(self) -> None:
        """Batched -> trained; the version counts one more."""
        indices = tuple(self.indices("batched"))
        for index in indices:
            self._forget(index)
        self.trained, self.version = self.trained + len(indices), self.version + 1
        self._journal.write(Event(state="trained", indices=indices, step=self.version), durable=True)

    def reject(self, index: int, reason: str) -> None:
        """A settled or held index -> rejected."""
        if index in self.held:
            self._forget(index)
        self._rejected[reason] += 1
        self._meter.add(REJECTED, label=reason)
        self._journal.write(Event(state="rejected", indices=(index,), reason=reason))

    def unclaim(self, indices: Iterable[int]) -> int:
        """Claimed -> to be given again; how many."""
        lost = list(indices)
        for index in lost:
            del self.claims[index]
        self._unclaimed = sorted(self._unclaimed + lost)
        return self._give_back("unclaimed", lost)

    def unlease(self, indices: Iterable[int]) -> int:
        """Leased -> ready; how many."""
        lost = list(indices)
        for index in lost:
            self.held[index] = Held(self.held[index].labelled)
        return self._give_back("ready", lost)

    def expire(self, now: float) -> int:
        """Take back the claims and leases whose deadline has come; how many."""
        claims = [index for index, claim in self.claims.items() if claim.deadline <= now]
        leases = [index for index in self.indices("leased") if self.held[index].deadline <= now]
        return self.unclaim(claims) + self.unlease(leases)

    def next_deadline(self) -> float | None:
        """When the next claim or lease expires."""
        deadlines = [claim.deadline for claim in self.claims.values()]
        deadlines += [self.held[index].deadline for index in self.indices("leased")]
        return min(deadlines, default=None)

    def twins(self) -> dict[int, int]:
        """Of held tasks, index -> index of the twin: 2k and 2k+1, where they are of one vignette."""
        return {index: index ^ 1 for index in self.held if self._vignette(index) == self._vignette(index ^ 1)}

    def _vignette(self, index: int) -> str | None:
        held = self.held.get(index)
        return held.labelled.task.provenance.vignette if held is not None else None

    def indices(self, state: str) -> list[int]:
        return [index for index, held in self.held.items() if held.state == state]

    def count(self, *states: str) -> int:
        return sum(held.state in states for held in self.held.values())

    def stats(self) -> dict[str, Any]:
        """Tasks by state; `claimed` and `given` indices; `version`; `rejections` by reason; `counts` for the board."""
        return {
            **{state: self.count(state) for state in BUFFER_STATES},
            "trained": self.trained,
            "rejected": self._rejected.total(),
            "claimed": len(self.claims),
            "given": self._next_index - len(self._unclaimed),
            "version": self.version,
            "rejections": dict(self._rejected),
            "returned": self._returned,
            "refused_late": self.refused["late"],
            "refused_stale": self.refused["stale"],
            "dropped_lines": self._dropped_lines,
            "counts": self._meter.counts(),
        }

    def check(self) -> None:
        """Assert that every index given is in exactly one state."""
        stats = self.stats()
        assert stats["claimed"] + sum(stats[state] for state in BUFFER_STATES) == stats["given"], stats
        places = [*self.claims, *self.held, *self._unclaimed]
        assert len(places) == len(set(places)), stats
        assert len(self._index_of) == len(self.held), stats

    def close(self) -> None:
        self._journal.close()

    def _give_back(self, state: str, indices: list[int]) -> int:
        if indices:
            self._returned += len(indices)
            self._journal.write(Event(state=state, indices=tuple(indices)))
        return len(indices)

    def _forget(self, index: int) -> None:
        del self._index_of[self.held.pop(index).labelled.task.task_id]
