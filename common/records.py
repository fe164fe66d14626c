"""Wire records: what actors send each other and write to disk. Frozen, complete at birth, free of torch, ray and vllm.

`policy_version` counts learner steps published (0 is the warmed-up start). `policy_lag` of a group is the learner's
version when it trains on the group, minus the oldest version that produced any of its tokens.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True)  # else type checkers take subclasses for mutable
class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every record: immutable, built by keyword, comparable, serialisable by msgspec."""


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


class Message(Record):
    """One chat turn, in the role/content form that chat templates take."""

    role: str
    content: str


class Limits(Record):
    """Limits of an episode."""

    max_turns: int = 1
    max_tokens: int = 512  # completion tokens per turn


class Provenance(Record):
    """Where a task comes from. `vignette` groups twins; `kind` is one of the game's kinds of tasks."""

    source: str
    vignette: str
    kind: str
    operators: tuple[str, ...] = ()  # names of the edits that were applied, in order
    model_written: bool = False  # True when a Scribe completion survived into the task
    policy_version: int = 0  # of the Scribe that wrote it
    tier: str = ""  # of the rule behind an injected error: A, B, C, or human; empty when none was injected


class Task(Record):
    """What a policy may see. The truth about it lives in a `Label`, which never travels to the policy's side."""

    env: str
    task_id: str
    split: str
    context: dict[str, Any]  # public and JSON-serialisable
    limits: Limits
    provenance: Provenance
    tools: tuple[str, ...] = ()


class Label(Record):
    """The truth about the task of the same id; `truth` is JSON-serialisable and read only by the environment."""

    task_id: str
    truth: dict[str, Any]


class LabelledTask(Record, omit_defaults=True):
    """A task with its label, as the replay buffer holds it.

    `authored` are the tries of a trained Scribe's model at it, in order; the buffer takes them off on arrival.
    """

    task: Task
    label: Label
    authored: tuple[Authored, ...] = ()


class Rejection(Record):
    """A proposal that did not become a task. `reason` is one of a small set of metric label values."""

    source: str
    reason: str
    detail: str = ""


class Completion(Record):
    """One sampled completion of one prompt.

    `token_ids`, `logps` and `versions` have equal length T: the engine's own log-probability of each sampled token
    under the (temperature-scaled) distribution it was drawn from, and the policy_version that produced it.
    """

    text: str
    token_ids: tuple[int, ...]
    logps: tuple[float, ...]
    versions: tuple[int, ...]
    finish_reason: str  # "stop" or "length"
    engine: str

    @property
    def truncated(self) -> bool:
        """Whether a limit cut it off, so that it has no natural end."""
        return self.finish_reason != "stop"


class Sampled(Record):
    """An engine's answer to one generate call: the prompt as it was tokenised, and n completions of it."""

    prompt_ids: tuple[int, ...]
    completions: tuple[Completion, ...]

    @property
    def newest_version(self) -> int:
        """0 when no completion has a token."""
        return max((max(c.versions, default=0) for c in self.completions), default=0)


class Authored(Record):
    """One try of the Scribe's model at a task, as it was sampled: a single completion.

    `refused` is the reason why it became no task; empty when it was verified, and is what the task asks about.
    """

    sampled: Sampled
    refused: str = ""


class Reward(Record):
    """A scored episode. `total` is the sum of `components`; `reason` names the case of the reward table."""

    components: dict[str, float]
    total: float
    reason: str


class Episode(Record):
    """What a policy did in one task: its actions in order, and whether the last one was cut off by a limit."""

    task_id: str
    actions: tuple[str, ...]
    truncated: bool


class Rollout(Record):
    """One scored completion."""

    completion: Completion
    reward: Reward


class Group(Record):
    """The n rollouts of one task: what the learner trains on, with one prompt shared by all of them."""

    labelled: LabelledTask
    prompt_ids: tuple[int, ...]
    rollouts: tuple[Rollout, ...]
    doctor: str

    @property
    def task_id(self) -> str:
        """Of the task that all rollouts answered."""
        return self.labelled.task.task_id

    @property
    def oldest_version(self) -> int:
        """The smallest policy_version that produced one of the tokens."""
        return min(min(r.completion.versions) for r in self.rollouts)

    @property
    def newest_version(self) -> int:
        """The policy_version at which the Doctor scored the group."""
        return max(max(r.completion.versions) for r in self.rollouts)


class AuthorBatch(Record):
    """What the Scribe's learner trains on: paid tries, each as a group of one. Without groups none is ready.

    `success_rates` are the Doctor's on the verified ones among them; refused tries have none.
    """

    groups: tuple[Group, ...] = ()
    success_rates: tuple[float, ...] = ()
