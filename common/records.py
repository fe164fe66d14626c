"""Wire records: what actors send each other and write to disk. Frozen, complete at birth, free of torch, ray and vllm.

`policy_version` counts learner steps published (0 is the warmed-up start). `policy_lag` of a group is the learner's
version when it trains on the group, minus the oldest version that produced any of its tokens.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.record import Ids, TokenRecord, frozen
from common.record import Record as Record  # others take it from here


class EndReason(StrEnum):
    """Why an episode ended."""

    SUBMITTED = "submitted"  # the policy or its game ended it
    MAX_TURNS = "max_turns"
    CONTEXT = "context"  # no room for another reply in the model's context
    LENGTH = "length"  # a reply was cut off by the token limit
    INVALID = "invalid"  # too many replies in a row that the game could not read
    PARTNER = "partner"  # another model that the game asked failed


LIMITS_MET = frozenset({EndReason.MAX_TURNS, EndReason.CONTEXT, EndReason.LENGTH})


class Message(Record):
    """One chat turn, in the role/content form that chat templates take."""

    role: str
    content: str


class Tool(Record):
    """A function that the policy may call. `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


NO_LIMIT = 2**31 - 1


class Limits(Record):
    """Limits of an episode. `sampling.max_tokens` bounds every turn; where a game allows fewer, the plan says so."""

    max_turns: int = 1
    max_tokens: int = NO_LIMIT  # completion tokens per turn


class Provenance(Record):
    """The origin of a task. `vignette` groups twins; `kind` is one of the game's kinds of tasks."""

    source: str
    vignette: str
    kind: str
    operators: tuple[str, ...] = ()  # names of the edits that were applied, in order
    model_written: bool = False  # True when a Scribe completion survived into the task
    policy_version: int = 0  # of the Scribe that wrote it
    tier: str = ""  # of the rule behind an injected error: A, B, C, or human; empty when none was injected


class Task(Record):
    """The part of a task that a policy may see. The truth is in its `Label`, which never reaches the policy."""

    env: str
    task_id: str
    split: str
    context: dict[str, Any]  # public and JSON-serialisable
    limits: Limits
    provenance: Provenance


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
    """A proposal that did not become a task. `reason` is one of the game's `Report.rejections`."""

    source: str
    reason: str
    detail: str = ""


class Completion(TokenRecord, eq=False):
    """One sampled completion of one prompt.

    `token_ids`, `logps` and `versions` are read-only arrays of equal length T: the engine's own log-probability (nats)
    of each sampled token under the (temperature-scaled) distribution it was drawn from, and the policy_version that
    produced it.
    """

    text: str
    token_ids: Ids  # int32
    logps: NDArray[np.float32]
    versions: NDArray[np.int32]
    finish_reason: str  # "stop" or "length"
    engine: str
    first: tuple[tuple[str, float], ...] = ()  # likely first tokens as text, with log-probs, where they were asked for

    def __post_init__(self) -> None:
        self._freeze(token_ids=np.int32, logps=np.float32, versions=np.int32)

    @property
    def truncated(self) -> bool:
        """Whether a limit cut it off, so that it has no natural end."""
        return self.finish_reason != "stop"


class Sampled(TokenRecord, eq=False):
    """An engine's answer to one generate call: the prompt as it was tokenised, and n completions of it.

    `cached` of the prompt's tokens were in the engine's prefix cache.
    """

    prompt_ids: Ids
    completions: tuple[Completion, ...]
    cached: int = 0

    def __post_init__(self) -> None:
        self._freeze(prompt_ids=np.int32)

    @property
    def oldest_version(self) -> int | None:
        """None when no completion has a token."""
        return min((int(c.versions.min()) for c in self.completions if len(c.versions)), default=None)

    @property
    def newest_version(self) -> int:
        """0 when no completion has a token."""
        return max((int(c.versions.max(initial=0)) for c in self.completions), default=0)


class Authored(Record):
    """One try of the Scribe's model at a task, as it was sampled: a single completion.

    `refused` is the reason why it became no task; empty when it was verified, and is what the task asks about.
    """

    sampled: Sampled
    refused: str = ""


class Reward(Record):
    """A scored episode. `total` is the sum of `components`; `reason` names the case of the reward table.

    `solved`: whether the task counts as done, for success rates, the difficulty filter and pages. `potentials`: how
    good the state was in which each action was taken, one per action; empty where the game shapes nothing
    (`learner.reinforce_pp`). `figures` are what the game's report counts beside; nothing is trained on them.
    """

    components: dict[str, float]
    total: float
    reason: str
    solved: bool
    potentials: tuple[float, ...] = ()
    figures: dict[str, float] = {}


class Reply(Record):
    """Another model's reply to the game (`envs.contract.env.Ask`)."""

    role: str
    text: str
    policy_version: int


class Episode(Record):
    """What a policy did in one task: its actions in order, what partners replied, and why it ended.

    With the task it is enough to replay the episode.
    """

    task_id: str
    actions: tuple[str, ...]
    reason: EndReason = EndReason.SUBMITTED
    replies: tuple[Reply, ...] = ()

    @property
    def truncated(self) -> bool:
        """Whether a limit ended it."""
        return self.reason in LIMITS_MET


class EpisodeStats(Record):
    """An episode in numbers."""

    turns: int
    sampled_tokens: int
    reason: EndReason
    surprise: float  # nats: sum of -log-prob over the sampled tokens; per token, an unbiased estimate of the entropy
    later_prompt_tokens: int  # of the prompts of its second and later turns
    cached_tokens: int  # those of them that were in the engine's prefix cache


class Step(TokenRecord, eq=False):
    """One turn of an episode: what was sampled, and the ids between it and the next sampled token.

    `cached` tokens of its prompt were in the engine's prefix cache.

    `observed` (the end of the turn in the chat template, what the game answered, the next generation prompt) was not
    sampled, and is never trained; empty on an episode's last step.
    """

    completion: Completion
    observed: Ids = frozen((), np.int32)
    cached: int = 0

    def __post_init__(self) -> None:
        self._freeze(observed=np.int32)


class Rollout(Record):
    """One scored episode."""

    steps: tuple[Step, ...]
    episode: Episode
    reward: Reward

    @property
    def sampled_tokens(self) -> int:
        """Over all turns."""
        return sum(len(step.completion.token_ids) for step in self.steps)

    def stats(self, prompt: int) -> EpisodeStats:
        """Its numbers; `prompt` is the length of the first prompt, tokens."""
        lengths = [len(step.completion.token_ids) + len(step.observed) for step in self.steps[:-1]]
        return EpisodeStats(
            turns=len(self.steps),
            sampled_tokens=self.sampled_tokens,
            reason=self.episode.reason,
            surprise=-sum(float(step.completion.logps.sum()) for step in self.steps),
            later_prompt_tokens=sum(prompt + length for length in accumulate(lengths)),
            cached_tokens=sum(step.cached for step in self.steps[1:]),
        )

    @property
    def branch_tokens(self) -> int:
        """Sampled and observed tokens, but for what was observed after the last turn: it predicts nothing."""
        return self.sampled_tokens + sum(len(step.observed) for step in self.steps[:-1])

    @property
    def shortest(self) -> int:
        """Sampled tokens of the shortest turn."""
        return min(len(step.completion.token_ids) for step in self.steps)


class Group(TokenRecord, eq=False):
    """The n rollouts of one task: what the learner trains on. All begin with the same prompt."""

    labelled: LabelledTask
    prompt_ids: Ids
    rollouts: tuple[Rollout, ...]
    doctor: str

    def __post_init__(self) -> None:
        self._freeze(prompt_ids=np.int32)

    @property
    def task_id(self) -> str:
        """Of the task that all rollouts answered."""
        return self.labelled.task.task_id

    @property
    def oldest_version(self) -> int:
        """The smallest policy_version that produced one of the tokens."""
        return min(int(versions.min()) for versions in self._versions())

    @property
    def newest_version(self) -> int:
        """The policy_version at which the Doctor scored the group."""
        return max(int(versions.max()) for versions in self._versions())

    def _versions(self) -> list[NDArray[np.int32]]:
        return [step.completion.versions for rollout in self.rollouts for step in rollout.steps]
