"""TaskStates: the exactly-once part of the replay buffer. Every index given is in one state; changes are journaled.

It moves tasks between states and counts them; `actors.replay_buffer` decides which, and when. A transition is written
before it is made: one that cannot be written did not happen. After each transition this must hold:

    made = ready + leased + rolled + batched + trained + rejected        given = claimed + made

`made` counts the claims that ended, in a task or in a rejection.
"""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from actors.held import Claim, Held
from actors.journal import Event, Journal, replay
from common.buffer_records import TaskState
from common.metrics import BUFFER_STATES, REJECTED, Meter
from common.records import Group, LabelledTask

LOG = logging.getLogger(__name__)

HELD_STATES = (TaskState.READY, TaskState.LEASED, TaskState.ROLLED, TaskState.BATCHED)


class TaskStates:
    """Tasks by state, over a new journal (`trained_steps` None) or the replayed one of an earlier run.

    Deadlines must not decrease from one claim, and from one lease, to the next. Raises ValueError when the journal
    contradicts `trained_steps` or `batch_groups`, or exists and should not; every transition does when it cannot be
    written.
    """

    def __init__(self, journal: Path, trained_steps: int | None, batch_groups: int) -> None:
        self.claims: dict[int, Claim] = {}  # in the order of their deadlines
        self.held: dict[int, Held] = {}
        self.version = trained_steps or 0
        self.trained = 0
        self.refused: Counter[str] = Counter()  # late, stale: results that came too late to be used
        self._in: dict[TaskState, dict[int, Held]] = {state: {} for state in HELD_STATES}  # in order of arrival
        self._ready: list[int] = []  # a heap: plan order
        self._unclaimed: list[int] = []  # a heap: given before and lost; given out first
        self._next_index = self._made = self._returned = self._dropped_lines = 0
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
        self.balance()

    def _recover(self, path: Path, trained_steps: int, batch_groups: int) -> None:
        found = replay(path, trained_steps)
        if len(found.trained) != trained_steps * batch_groups:
            raise ValueError(
                f"{path}: {len(found.trained)} tasks were trained in {trained_steps} steps, which is not "
                f"learner.batch_groups {batch_groups} per step; resume with the batch_groups that the run began with"
            )
        for index, labelled in found.ready.items():
            self._hold(index, Held(labelled))
        self._unclaimed, self._next_index = list(found.unclaimed), found.next_index
        self._made = len(found.ready) + len(found.trained) + len(found.rejected)
        self.trained = len(found.trained)
        self._rejected.update(found.rejected.values())
        self._task_ids.update(found.task_ids)
        self._dropped_lines = found.dropped_lines
        LOG.info("from the journal: %d tasks ready, %d trained", len(found.ready), self.trained)

    def claim(self, scribe: str, deadline: float) -> int:
        """Give out an index: the lowest one that was given and lost, else the next of the plan."""
        index = self._unclaimed[0] if self._unclaimed else self._next_index
        self._write(Event(state="claimed", indices=(index,), by=scribe))
        if self._unclaimed:
            heapq.heappop(self._unclaimed)
        else:
            self._next_index += 1
        self.claims[index] = Claim(scribe, deadline)
        self.balance()
        return index

    def is_claimed(self, index: int) -> bool:
        """Whether a claim is still valid; a lost one is counted."""
        if index not in self.claims:
            self.refused["late"] += 1
        return index in self.claims

    def knows(self, task_id: str) -> bool:
        """Whether a task of this id was ready before."""
        return task_id in self._task_ids

    def add(self, index: int, labelled: LabelledTask) -> None:
        """Claimed -> ready."""
        self._write(Event(state=TaskState.READY, indices=(index,), labelled=labelled))
        del self.claims[index]
        self._made += 1
        self._task_ids.add(labelled.task.task_id)
        self._hold(index, Held(labelled))
        self.balance()

    def lease(self, doctor: str, deadline: float) -> LabelledTask:
        """Ready -> leased, the first in plan order."""
        index = self._ready[0]
        self._write(Event(state=TaskState.LEASED, indices=(index,), by=doctor, version=self.version))
        heapq.heappop(self._ready)
        held = self._move(index, TaskState.LEASED)
        held.doctor, held.version, held.deadline = doctor, self.version, deadline
        self.balance()
        return held.labelled

    def leased_to(self, doctor: str, task_id: str) -> int | None:
        """The index of a task, if this Doctor holds its lease."""
        index = self._index_of.get(task_id)
        held = None if index is None else self.held[index]
        return index if held is not None and (held.state, held.doctor) == (TaskState.LEASED, doctor) else None

    def renew(self, index: int, deadline: float) -> None:
        """A leased task may be held until a later deadline than all others."""
        leased = self._in[TaskState.LEASED]
        leased[index] = held = leased.pop(index)  # in the order of their deadlines
        held.deadline = deadline

    def roll(self, index: int, group: Group) -> None:
        """Leased -> rolled."""
        self._write(Event(state=TaskState.ROLLED, indices=(index,)))
        self._move(index, TaskState.ROLLED).group = group
        self.balance()

    def batch(self, indices: list[int]) -> tuple[Group, ...]:
        """Rolled -> batched. Durable when it returns: after a checkpoint these tasks must not be trained again."""
        self._write(Event(state=TaskState.BATCHED, indices=tuple(indices), step=self.version + 1), durable=True)
        groups = tuple(group for index in indices if (group := self._move(index, TaskState.BATCHED).group) is not None)
        assert len(groups) == len(indices)
        self.balance()
        return groups

    def train(self) -> None:
        """Batched -> trained; the version is incremented."""
        indices = tuple(self._in[TaskState.BATCHED])
        self._write(Event(state=TaskState.TRAINED, indices=indices, step=self.version + 1), durable=True)
        for index in indices:
            self._forget(index)
        self.trained, self.version = self.trained + len(indices), self.version + 1
        self.balance()

    def reject(self, index: int, reason: str) -> None:
        """A claimed, leased or rolled index -> rejected."""
        self._write(Event(state=TaskState.REJECTED, indices=(index,), reason=reason))
        if index in self.held:
            self._forget(index)
        else:
            del self.claims[index]
            self._made += 1
        self._rejected[reason] += 1
        self._meter.add(REJECTED, 1, reason)
        self.balance()

    def unclaim(self, indices: Iterable[int]) -> int:
        """Claimed -> to be given again; returns how many."""
        lost = self._give_back("unclaimed", indices)
        for index in lost:
            del self.claims[index]
            heapq.heappush(self._unclaimed, index)
        self.balance()
        return len(lost)

    def unlease(self, indices: Iterable[int]) -> int:
        """Leased -> ready; returns how many."""
        lost = self._give_back(TaskState.READY, indices)
        for index in lost:
            self._hold(index, Held(self._in[TaskState.LEASED].pop(index).labelled))
        self.balance()
        return len(lost)

    def expire(self, now: float) -> int:
        """Take back claims and leases past their deadline; returns how many."""
        first = self.next_deadline()
        if first is None or first > now:
            return 0
        claims = [index for index, claim in self.claims.items() if claim.deadline <= now]
        leases = [index for index, held in self._in[TaskState.LEASED].items() if held.deadline <= now]
        return self.unclaim(claims) + self.unlease(leases)

    def next_deadline(self) -> float | None:
        """The time at which the next claim or lease expires."""
        firsts = (next(iter(self.claims.values()), None), next(iter(self._in[TaskState.LEASED].values()), None))
        return min((first.deadline for first in firsts if first is not None), default=None)

    def twins(self, of: Iterable[int]) -> dict[int, int]:
        """Index -> index of the twin, where both are held: 2k and 2k+1, of the same vignette."""
        return {index: index ^ 1 for index in of if self._vignette(index) == self._vignette(index ^ 1)}

    def _vignette(self, index: int) -> str | None:
        held = self.held.get(index)
        return held.labelled.task.provenance.vignette if held is not None else None

    def indices(self, state: TaskState) -> list[int]:
        """The indices in `state`, in order of arrival."""
        return list(self._in[state])

    def count(self, *states: TaskState) -> int:
        """Number of tasks in one of `states`."""
        return sum(len(self._in[state]) for state in states)

    @property
    def imbalance(self) -> int:
        """Tasks made minus tasks in a state: always 0."""
        return self._made - len(self.held) - self.trained - self._rejected.total()

    def stats(self) -> dict[str, Any]:
        """Tasks `made` and by state, `claimed` and `given` indices, `rejections` by reason, `counts` for the board."""
        return {
            **{state: len(tasks) for state, tasks in self._in.items()},
            "trained": self.trained,
            "rejected": self._rejected.total(),
            "made": self._made,
            "imbalance": self.imbalance,
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

    def balance(self) -> None:
        """Assert the module's equations, in constant time."""
        assert not self.imbalance, self.stats()
        assert len(self.claims) + self._made == self._next_index - len(self._unclaimed), self.stats()
        assert len(self.held) == len(self._index_of) == sum(map(len, self._in.values())), self.stats()

    def check(self) -> None:
        """Assert that every index given is in exactly one state."""
        self.balance()
        stats = self.stats()
        assert sum(stats[state] for state in BUFFER_STATES) == stats["made"], stats
        places = [*self.claims, *self.held, *self._unclaimed]
        assert len(places) == len(set(places)), stats
        assert all(held.state == state for state, tasks in self._in.items() for held in tasks.values()), stats
        assert sorted(self._ready) == sorted(self._in[TaskState.READY]), stats

    @property
    def unsynced(self) -> bool:
        """Whether a transition is not synced yet."""
        return self._journal.unsynced

    def sync(self) -> None:
        """Sync every transition to disk."""
        self._journal.sync()

    def compact(self, oldest_step: int) -> None:
        """Compact the journal to what a resume at `oldest_step` or later needs."""
        self._journal.compact(oldest_step)

    def close(self) -> None:
        """Close the journal; no transition may follow."""
        self._journal.close()

    def _write(self, event: Event, durable: bool = False) -> None:
        self._journal.write(event, durable)
        if LOG.isEnabledFor(logging.DEBUG):
            for index in event.indices:
                LOG.debug("%s, index %d", event, index, extra={"task": self._task_id(index, event)})

    def _task_id(self, index: int, event: Event) -> str:
        labelled = self.held[index].labelled if index in self.held else event.labelled
        return "-" if labelled is None else labelled.task.task_id

    def _give_back(self, state: str, indices: Iterable[int]) -> list[int]:
        lost = list(indices)
        if lost:
            self._write(Event(state=state, indices=tuple(lost)))
        self._returned += len(lost)
        return lost

    def _hold(self, index: int, held: Held) -> None:
        self.held[index] = self._in[TaskState.READY][index] = held
        self._index_of[held.labelled.task.task_id] = index
        heapq.heappush(self._ready, index)

    def _move(self, index: int, state: TaskState) -> Held:
        held = self.held[index]
        self._in[state][index] = self._in[held.state].pop(index)
        held.state = state
        return held

    def _forget(self, index: int) -> None:
        held = self.held.pop(index)
        del self._in[held.state][index], self._index_of[held.labelled.task.task_id]
