"""Royalties: a trained Scribe's tries, from the task that they made to the batch that its learner takes.

    put -> refused: paid 0 at once ------------------------------+-> paid, oldest first -> take, batch_groups at once
        -> verified: waits for the Doctor's group -> settle -----+

What is paid is in `envs/authorship.py`. Nobody waits for anything here: a try is a by-product of a task that the Doctor
wants anyway, so what comes too late is dropped, and counted. Nothing is journaled: a resumed run pays for new tries.
"""

from __future__ import annotations

from collections import deque

from actors.filters import successes
from common.metrics import ROYALTIES, Counts, Meter
from common.records import AuthorBatch, Authored, Group, LabelledTask, Record, Reward, Rollout
from envs.authorship import author_reward

VERIFIED = "verified"  # the reward's reason; that of a refused try is the reason why it was refused


class _Paid(Record):
    """A try with its reward, as a group of one; `success_rate` is the Doctor's, None on a refused one."""

    group: Group
    success_rate: float | None


class Royalties:
    """Holds at most as many paid tries as can be trained on before they are stale: (max_lag + 1) batches."""

    def __init__(self, batch_groups: int, max_lag: int) -> None:
        self._batch_groups, self._max_lag = batch_groups, max_lag
        self._waiting: dict[str, tuple[LabelledTask, Authored]] = {}  # by task_id; the buffer's capacity bounds it
        self._paid: deque[_Paid] = deque()
        self._meter = Meter()

    def put(self, labelled: LabelledTask, refused: str = "") -> LabelledTask:
        """Take the tries off a task that came in. `refused` says why the buffer does not want it."""
        bare = LabelledTask(task=labelled.task, label=labelled.label)
        for authored in labelled.authored:
            if reason := authored.refused or refused:
                self._pay(bare, authored, 0.0, reason, None)
            else:
                self._waiting[bare.task.task_id] = bare, authored
        return bare

    def settle(self, group: Group) -> None:
        """The Doctor read a task: pay for the try that made it, if one did."""
        if group.task_id in self._waiting:
            found, replies = successes(group), len(group.rollouts)
            reward = author_reward(True, found, replies)
            self._pay(*self._waiting.pop(group.task_id), reward, VERIFIED, found / replies)

    def forget(self, task_id: str) -> None:
        """No Doctor will read this task."""
        if self._waiting.pop(task_id, None) is not None:
            self._meter.add(ROYALTIES, label="unread")

    def take(self, version: int) -> AuthorBatch:
        """The oldest batch within max_lag of `version`, the Scribe's own; without groups when none is ready.

        A batch of equal rewards is left out: its advantages would be the noise of the KL penalty alone.
        """
        fresh = [paid for paid in self._paid if paid.group.oldest_version >= version - self._max_lag]
        if stale := len(self._paid) - len(fresh):
            self._meter.add(ROYALTIES, stale, "stale")
        self._paid = deque(fresh)
        while len(self._paid) >= self._batch_groups:
            batch = [self._paid.popleft() for _ in range(self._batch_groups)]
            if len({paid.group.rollouts[0].reward.total for paid in batch}) > 1:
                rates = [paid.success_rate for paid in batch if paid.success_rate is not None]
                return AuthorBatch(groups=tuple(paid.group for paid in batch), success_rates=tuple(rates))
            self._meter.add(ROYALTIES, len(batch), "uniform")
        return AuthorBatch()

    def counts(self) -> Counts:
        """What was counted."""
        return self._meter.counts()

    def _pay(
        self, labelled: LabelledTask, authored: Authored, amount: float, reason: str, success_rate: float | None
    ) -> None:
        (completion,) = authored.sampled.completions
        reward = Reward(components={"payment": amount}, total=amount, reason=reason)
        rollout = Rollout(completion=completion, reward=reward)
        group = Group(
            labelled=labelled,
            prompt_ids=authored.sampled.prompt_ids,
            rollouts=(rollout,),
            doctor="",
        )
        if len(self._paid) == (self._max_lag + 1) * self._batch_groups:
            self._paid.popleft()
            self._meter.add(ROYALTIES, label="overflow")
        self._paid.append(_Paid(group=group, success_rate=success_rate))
        self._meter.add(ROYALTIES, label="unverified" if success_rate is None else f"{success_rate:.1f}")
