"""ScribeRewards: a trained Scribe's tries, from the task that they made to the batch that its learner takes.

    put -> waiting for the Doctor's group of its task -> rewarded, oldest first -> take, batch_groups at once

The reward is defined in `envs/contract/authorship.py`. Refused tries wait with the other tries of their task, although
their reward does not depend on the Doctor: rewarded at once they would be fresher, and batches would hold more of them
than the Scribe writes. Nothing waits for tries: they are a by-product of the Doctor's tasks, so those that are too late
are dropped, and counted. Nothing is journaled: a resumed run begins without tries.
"""

from __future__ import annotations

from collections import deque

from actors.filters import successes
from common.buffer_records import AuthorBatch
from common.finite import completion_fault
from common.metrics import ROYALTIES, Counts, Meter
from common.records import Authored, Episode, Group, LabelledTask, Record, Reward, Rollout, Step
from envs.contract.authorship import author_reward

VERIFIED = "verified"  # the reward's reason; a refused try has the reason of its refusal


class RewardedTry(Record):
    """A try with its reward, as a group of one; `success_rate` is the Doctor's, None for a refused try."""

    group: Group
    success_rate: float | None


class ScribeRewards:
    """Holds at most as many rewarded tries as can be trained on before they are stale: (max_lag + 1) batches."""

    def __init__(self, batch_groups: int, max_lag: int) -> None:
        self._batch_groups, self._max_lag = batch_groups, max_lag
        self._waiting: dict[str, LabelledTask] = {}  # by task_id; bounded by the buffer's capacity
        self._paid: deque[RewardedTry] = deque()
        self._meter = Meter()

    def put(self, labelled: LabelledTask, refused: str = "") -> LabelledTask:
        """Take the tries of a new task. `refused` is the buffer's reason to reject it; then no Doctor reads it."""
        if refused:
            for authored in labelled.authored:
                self._pay(labelled, authored, 0.0, authored.refused or refused, None)
        elif labelled.authored:
            self._waiting[labelled.task.task_id] = labelled
        return _bare(labelled)

    def score_tries(self, group: Group) -> None:
        """The Doctor has answered a task: reward its tries, if there are any."""
        labelled = self._waiting.pop(group.task_id, None)
        if labelled is None:
            return
        found, replies = successes(group), len(group.rollouts)
        for authored in labelled.authored:
            amount = author_reward(not authored.refused, found, replies)
            rate = None if authored.refused else found / replies
            self._pay(labelled, authored, amount, authored.refused or VERIFIED, rate)

    def forget(self, task_id: str) -> None:
        """No Doctor will read this task."""
        if labelled := self._waiting.pop(task_id, None):
            self._meter.add(ROYALTIES, len(labelled.authored), "unread")

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
        """The counters."""
        return self._meter.counts()

    def _pay(
        self, labelled: LabelledTask, authored: Authored, amount: float, reason: str, success_rate: float | None
    ) -> None:
        (completion,) = authored.sampled.completions
        if completion_fault(completion):
            self._meter.add(ROYALTIES, 1, "not_finite")
            return
        reward = Reward(components={"payment": amount}, total=amount, reason=reason, solved=amount > 0)
        episode = Episode(task_id=labelled.task.task_id, actions=(completion.text,))
        rollout = Rollout(steps=(Step(completion=completion),), episode=episode, reward=reward)
        group = Group(
            labelled=_bare(labelled),
            prompt_ids=authored.sampled.prompt_ids,
            rollouts=(rollout,),
            doctor="",
        )
        if len(self._paid) == (self._max_lag + 1) * self._batch_groups:
            self._paid.popleft()
            self._meter.add(ROYALTIES, 1, "overflow")
        self._paid.append(RewardedTry(group=group, success_rate=success_rate))
        self._meter.add(ROYALTIES, 1, "unverified" if success_rate is None else f"{success_rate:.1f}")


def _bare(labelled: LabelledTask) -> LabelledTask:
    return LabelledTask(task=labelled.task, label=labelled.label)
