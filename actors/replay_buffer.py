"""ReplayBuffer: every task from its claim to its training, in exactly one state, under a strict staleness bound.

    claim -> put_task -> READY -> lease -> LEASED -> put_group -> ROLLED -> take_batch -> BATCHED -> release -> TRAINED
      ^         |          ^                 |           |
      |         v          +- death, expiry -+           v
      +- death, expiry, or REJECTED <--------------------+

The class knows nothing of Ray: it runs on one event loop, changes its state only between two awaits (so no locks), and
never polls. Scribes wait in `claim`, Doctors in `lease`, the learner in `take_batch`: in one queue each. A change
wakes only the first of a queue, and only when it can proceed; that one wakes the next. `actors.task_states` holds the
tasks.

Why no group is ever staler than max_lag (L), with V the version and B = batch_groups. A task leased at version v has
tokens of version >= v, because engines hold v before it is released here; so it must be taken at V <= v + L. Call a
task outstanding while leased or rolled, and take Hall's condition:
    for every k >= 0, at most (k+1) B outstanding tasks have a lease version <= V - L + k        (H)
At k = 0 it says that at most B tasks are due now. It holds at all times:
- `lease` admits while leased + rolled + batched + trained + 1 <= (L + V + 1) B. As trained = V B, at most (L+1) B tasks
  are outstanding or batched. The new task has version V and counts only where k >= L, which that covers. While a batch
  is in training at most L B are outstanding, which covers the same tasks (k = L-1) at V + 1.
- `take_batch` takes B rolled tasks, and only when those left satisfy (H) at V + 1: at most k B of them have a lease
  version <= V - L + k. Waiting for those due now (k = 0) is not enough: with L = 2 and B = 1, two fast late-comers
  could overtake two slow tasks, which would then both be due in one batch of one. If any B rolled tasks pass, the B
  oldest do, for they leave the fewest old ones behind; of all that pass, twins are taken together (actors.pairing).
- Deaths, expiries and rejections only take tasks away from the outstanding ones; a new lease has the newer version.
The wait ends: a leased task comes back rolled, rejected or ready, and with none leased the B oldest pass, by (H). So a
group is too late only when its lease was lost, and `renew_lease` says so at an episode's next turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from actors.filters import Novelty, group_rejection
from actors.game_faults import GameFaults
from actors.journal import SYNC_SECONDS
from actors.pairing import choose
from actors.refusals import GROUPS, TASKS, Refusals
from actors.scribe_rewards import ScribeRewards
from actors.task_states import TaskStates
from actors.wait_queue import WaitQueue
from common.buffer_records import AuthorBatch, Reference, RejectReason, StoredGroup, TaskState
from common.config import BufferSpec, FilterSpec
from common.finite import group_fault
from common.records import Group, LabelledTask


class ReplayBuffer:
    """See the module. A lost claim or lease (death, or `lease_seconds` on `clock`) returns; its late result is refused.

    `trained_steps` None starts a new journal; a number resumes from the checkpoint which that many steps made.
    `store` puts a group of a batch where the ranks can fetch it: it goes out by reference, and the buffer owns it.
    Raises ValueError when the journal and this contradict each other.
    """

    def __init__(
        self,
        spec: BufferSpec,
        batch_groups: int,
        filters: FilterSpec,
        journal: Path,
        trained_steps: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        store: Callable[[Group], Reference] = lambda group: group,
    ) -> None:
        self._spec, self._batch_groups, self._filters = spec, batch_groups, filters
        self._clock, self._store = clock, store
        self._tasks = TaskStates(journal, trained_steps, batch_groups)
        self._scribe_rewards = ScribeRewards(batch_groups, spec.max_lag)  # stays empty where the Scribe is not trained
        known = [held.labelled.task for held in self._tasks.held.values()]
        self._novelty = None if filters.novelty is None else Novelty(filters.novelty, known)
        self._faults, self._refusals = GameFaults(), Refusals(filters)
        self._lines = {role: WaitQueue() for role in ("scribe", "doctor", "learner")}
        self._expiry: asyncio.TimerHandle | None = None
        self._sync: asyncio.TimerHandle | None = None

    # ---- Scribes

    async def claim(self, scribe: str) -> int:
        """The plan index to make a task from. Waits while the buffer is full; raises Closed."""
        await self._until("scribe", self._has_room, scribe)
        index = self._tasks.claim(scribe, self._clock() + self._spec.lease_seconds)
        self._wake()
        return index

    async def put_task(self, index: int, labelled: LabelledTask) -> bool:
        """End a claim with its task, which the filters may reject. False when the claim was lost meanwhile."""
        if not self._tasks.is_claimed(index):
            return False
        refused: str = ""
        if self._tasks.knows(labelled.task.task_id):
            refused = RejectReason.DUPLICATE
        elif self._novelty is not None and not self._novelty.accepts(labelled.task):
            refused = RejectReason.NOVELTY
        bare = self._scribe_rewards.put(labelled, refused)
        if refused:
            self._tasks.reject(index, refused)
            self._refusals.refused(TASKS, refused)
        else:
            self._tasks.add(index, bare)
            self._refusals.passed(TASKS)
        self._wake()
        return True

    async def reject_claim(self, index: int, reason: str) -> bool:
        """End a claim from which no task came. False when the claim was lost meanwhile."""
        if not self._tasks.is_claimed(index):
            return False
        self._tasks.reject(index, reason)
        self._refusals.refused(TASKS, reason)
        self._wake()
        return True

    async def return_claims(self, scribe: str) -> int:
        """Take back what a dead Scribe had claimed, and the claims it waits for; how many it had."""
        self._lines["scribe"].give_up(scribe)
        returned = self._tasks.unclaim(i for i, claim in self._tasks.claims.items() if claim.scribe == scribe)
        self._wake()
        return returned

    def _has_room(self) -> bool:
        return len(self._tasks.claims) + len(self._tasks.held) < self._spec.capacity

    # ---- Doctors

    async def lease(self, doctor: str) -> LabelledTask:
        """The first ready task in plan order. Waits for one and for the staleness bound; raises Closed."""
        await self._until("doctor", self._admits, doctor)
        labelled = self._tasks.lease(doctor, self._clock() + self._spec.lease_seconds)
        self._wake()
        return labelled

    async def renew_lease(self, doctor: str, task_id: str, oldest_version: int | None) -> bool:
        """An episode of a leased task made progress: renew the lease. False when its group can no longer be trained."""
        index = self._tasks.leased_to(doctor, task_id)
        if index is None:
            return False
        if oldest_version is not None and oldest_version < self._tasks.held[index].version:
            return False  # its lease was lost, and this is a younger one of the same Doctor
        self._tasks.renew(index, self._clock() + self._spec.lease_seconds)
        return True

    async def put_group(self, group: Group) -> bool:
        """End a lease with its rollouts, which the filters may reject. False when they cannot be used.

        That is when the lease was lost meanwhile, or when a token is older than the lease: it comes from an earlier
        lease, or from an engine that missed a sync. The task is ready again then.
        """
        index = self._tasks.leased_to(group.doctor, group.task_id)
        if index is None:
            self._tasks.refused["late"] += 1
            self._refusals.refused(GROUPS, RejectReason.LATE)
            return False
        self._faults.played(group.labelled.task.env)
        reason = group_rejection(self._filters, group)
        fresh = reason is not None or group.oldest_version >= self._tasks.held[index].version
        if reason == RejectReason.NOT_FINITE:  # of such rewards no success rate can be told
            self._scribe_rewards.forget(group.task_id)
        elif fresh:  # before the filter: errors that all or no replies find are rewarded too
            self._scribe_rewards.score_tries(group)
        if reason is not None:
            self._tasks.reject(index, reason)
            self._refusals.refused(GROUPS, reason, group_fault(group))
        elif fresh:
            self._tasks.roll(index, group)
            self._refusals.passed(GROUPS)
        else:
            self._tasks.refused["stale"] += 1
            self._tasks.unlease([index])
            self._refusals.refused(GROUPS, RejectReason.STALE)
        self._wake()
        return fresh

    async def reject_lease(self, doctor: str, task_id: str, reason: str, detail: str) -> bool:
        """End a lease of a task that cannot be played. False when the lease was lost meanwhile. May wait a while."""
        index = self._tasks.leased_to(doctor, task_id)
        if index is None:
            return False
        game = self._tasks.held[index].labelled.task.env
        self._tasks.reject(index, reason)
        self._scribe_rewards.forget(task_id)
        self._faults.rejected(game, reason, detail)
        self._wake()
        await self._faults.pause(game)
        return True

    async def return_leases(self, doctor: str) -> int:
        """Take back what a dead Doctor had leased, and the leases it waits for; how many it had."""
        self._lines["doctor"].give_up(doctor)
        leased, held = self._tasks.indices(TaskState.LEASED), self._tasks.held
        returned = self._tasks.unlease(i for i in leased if held[i].doctor == doctor)
        self._wake()
        return returned

    def _admits(self) -> bool:
        running = self._tasks.count(TaskState.LEASED, TaskState.ROLLED, TaskState.BATCHED)
        bound = (self._spec.max_lag + self._tasks.version + 1) * self._batch_groups
        return self._tasks.count(TaskState.READY) > 0 and running + self._tasks.trained + 1 <= bound

    # ---- the learner

    async def take_batch(self) -> tuple[StoredGroup, ...]:
        """Exactly batch_groups groups, all within max_lag, twins together if possible. Waits; raises Closed."""
        assert not self._tasks.count(TaskState.BATCHED), "release the last batch before taking the next"
        await self._until("learner", lambda: self._next_batch() is not None)
        batch = self._next_batch()
        assert batch is not None
        groups = self._tasks.batch(batch)
        self._wake()
        return tuple(StoredGroup.of(group, self._store(group)) for group in groups)

    async def release(self, version: int) -> None:
        """The batch is trained, and every engine holds `version`, which must be the next one."""
        assert self._tasks.count(TaskState.BATCHED), "release follows take_batch"
        assert version == self._tasks.version + 1, f"version {version} released after {self._tasks.version}"
        self._tasks.train()
        self._wake()

    async def take_authored(self, version: int) -> AuthorBatch:
        """What the Scribe's learner may train on at its own `version`, without waiting."""
        batch = self._scribe_rewards.take(version)
        return AuthorBatch(groups=tuple(map(self._store, batch.groups)), success_rates=batch.success_rates)

    def _next_batch(self) -> list[int] | None:
        """Indices of the next batch, or None while it must be waited for (the module says why)."""
        self._reject_stale()
        held, size, max_lag = self._tasks.held, self._batch_groups, self._spec.max_lag
        indices = self._tasks.indices(TaskState.LEASED) + self._tasks.indices(TaskState.ROLLED)
        outstanding = sorted((held[index].version, index) for index in indices)
        due = self._tasks.version - max_lag

        def in_time(batch: Sequence[int]) -> bool:
            taken = set(batch)
            left = [version for version, index in outstanding if index not in taken]
            return all(sum(version <= due + k for version in left) <= k * size for k in range(max_lag))

        rolled = [index for _, index in outstanding if held[index].state == TaskState.ROLLED]
        return choose(rolled, self._tasks.twins(rolled), size, in_time)

    def _reject_stale(self) -> None:
        """Check the bound again at sampling: only a bug in this class could let a stale group come so far."""
        oldest = self._tasks.version - self._spec.max_lag
        for index in self._tasks.indices(TaskState.ROLLED):
            group = self._tasks.held[index].group
            if group is not None and group.oldest_version < oldest:
                self._tasks.reject(index, RejectReason.STALE)

    async def checkpointed(self, oldest_step: int) -> None:
        """A checkpoint was written; no resume needs a step before `oldest_step`, so the journal may be compacted."""
        self._tasks.compact(oldest_step)

    # ---- everyone

    async def retire(self, role: str, name: str) -> None:
        """Give `name` no more work: its calls for work raise Closed, now and later. Its results may still be put."""
        self._lines[role].retire(name)

    async def close(self) -> None:
        """All waiting calls, now or later, raise Closed; work in progress may still be put and released."""
        for line in self._lines.values():
            line.close()

    def stats(self) -> dict[str, Any]:
        """The figures of `TaskStates.stats`, `waiting` calls by role, what was refused `in_a_row` (see `Refusals`), and
        `warnings`: of games that cannot be played, and of what does not pass the filters any more."""
        ledger, waiting = self._tasks.stats(), {role: line.calls for role, line in self._lines.items()}
        counts = {**ledger["counts"], **self._scribe_rewards.counts()}
        warnings = {**self._faults.warnings, **self._refusals.warnings}
        in_a_row = dict(self._refusals.in_a_row)
        return {**ledger, "counts": counts, "waiting": waiting, "warnings": warnings, "in_a_row": in_a_row}

    def check(self) -> None:
        """Assert that every index given is in exactly one state, and that the staleness accounting holds."""
        self._tasks.check()
        running = self._tasks.count(TaskState.LEASED, TaskState.ROLLED, TaskState.BATCHED)
        due = self._tasks.version + bool(self._tasks.count(TaskState.BATCHED)) - self._spec.max_lag
        outstanding = [held for held in self._tasks.held.values() if held.state in (TaskState.LEASED, TaskState.ROLLED)]
        assert all(held.version >= due for held in outstanding), "a lease that holds is too late for the next batch"
        assert self._tasks.trained == self._tasks.version * self._batch_groups, self.stats()
        assert running <= (self._spec.max_lag + 1) * self._batch_groups, self.stats()

    async def _until(self, role: str, ready: Callable[[], bool], name: str = "") -> None:
        """Return in the same iteration of the event loop in which `ready` is true, so the caller may rely on it."""
        await self._lines[role].until(ready, name, self._take_back_expired, self._wake)

    def _take_back_expired(self) -> None:
        if self._tasks.expire(self._clock()):
            self._wake()

    def _wake(self) -> None:
        """The state changed: wake the first of each queue, if it can proceed."""
        enough = self._tasks.count(TaskState.ROLLED) >= self._batch_groups
        may_go_on = {"scribe": self._has_room(), "doctor": self._admits(), "learner": enough}
        for role, line in self._lines.items():
            if may_go_on[role]:
                line.wake_first()
        self._watch_expiry()
        if self._tasks.unsynced and self._sync is None:
            self._sync = asyncio.get_running_loop().call_later(SYNC_SECONDS, self._sync_journal)

    def _watch_expiry(self) -> None:
        deadline = self._tasks.next_deadline()
        if self._expiry is None and deadline is not None:
            self._expiry = asyncio.get_running_loop().call_later(deadline - self._clock(), self._expired)

    def _expired(self) -> None:
        self._expiry = None
        self._tasks.expire(self._clock())
        self._wake()

    def _sync_journal(self) -> None:
        self._sync = None
        with suppress(ValueError):  # the journal refuses every later write with the same error
            self._tasks.sync()
