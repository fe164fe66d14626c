"""Wire records of the replay buffer: states of tasks, reasons to reject them, and what the learner takes from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from common.record import Record
from common.records import EpisodeStats, Group, LabelledTask, Reward


class Closed(Exception):
    """The replay buffer is closed, or the waiting actor was declared dead or retired: it must stop asking."""


class TaskState(StrEnum):
    """Where a task is on its way through the replay buffer."""

    READY = "ready"
    LEASED = "leased"
    ROLLED = "rolled"
    BATCHED = "batched"
    TRAINED = "trained"
    REJECTED = "rejected"


class RejectReason(StrEnum):
    """Why the machinery rejects a proposal, a task or a group. A game declares its own (`Report.rejections`)."""

    DUPLICATE = "duplicate"  # a task of this id was made before
    NOVELTY = "novelty"  # too much like a recent task
    TOO_LONG = "too_long"  # the prompt does not fit the model's context
    TOO_SHORT = "too_short"  # a completion has too few tokens
    DIFFICULTY = "difficulty"  # too many or too few replies were right
    STALE = "stale"  # older than max_lag
    LATE = "late"  # its lease was lost while it was played, so that it is played again
    GAME_ERROR = "game_error"  # the game raised an error while it was played
    PARTNER = "partner"  # another model that the game asked failed
    NOT_FINITE = "not_finite"  # a log-prob or a reward is NaN or infinite
    ENGINE_ERROR = "engine_error"  # the engines could not sample it


Reference = Any
"""A group by name: a Ray ObjectRef, for which a remote call that has it as an argument gets the group itself. In the
simulator and in tests, the group."""


class StoredGroup(Record):
    """The driver's small description of a group, whose tokens and texts are at `reference`."""

    labelled: LabelledTask
    rewards: tuple[Reward, ...]
    stats: tuple[EpisodeStats, ...]
    oldest_version: int
    tokens: int  # that the learner trains on or conditions on, the prompt once
    reference: Reference

    @classmethod
    def of(cls, group: Group, reference: Reference) -> StoredGroup:
        """Of `group`, which is stored at `reference`."""
        return cls(
            labelled=group.labelled,
            rewards=tuple(rollout.reward for rollout in group.rollouts),
            stats=tuple(rollout.stats(len(group.prompt_ids)) for rollout in group.rollouts),
            oldest_version=group.oldest_version,
            tokens=len(group.prompt_ids) + sum(rollout.branch_tokens for rollout in group.rollouts),
            reference=reference,
        )

    @property
    def task_id(self) -> str:
        """Of the task that all rollouts answered."""
        return self.labelled.task.task_id


class AuthorBatch(Record):
    """A batch of the Scribe's learner: rewarded tries, each as a group of one. Empty when none is ready.

    `success_rates` are the Doctor's on the verified ones among them; refused tries have none.
    """

    groups: tuple[Reference, ...] = ()
    success_rates: tuple[float, ...] = ()
