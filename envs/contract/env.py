"""The environment contract. An environment is a game with a proposer, an episode and a scorer; actors know only this.

Every method but `propose` is pure: an episode can be replayed from the log and scores the same.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from common.records import (
    Authored,
    EndReason,
    Episode,
    Label,
    LabelledTask,
    Message,
    Record,
    Rejection,
    Reply,
    Reward,
    Sampled,
    Task,
    Tool,
)
from envs.contract.report import Report

Complete = Callable[[tuple[Message, ...], int], Awaitable["Written"]]
"""`complete(messages, max_tokens)`: the proposer's only access to a language model."""


class Written(Record):
    """The result of `Complete`: the text, whether it ended by itself, and the policy_version that wrote it.

    `sampled` is the completion as the engine sampled it, where the Scribe is trained and may be rewarded for it.
    `first` are likely first tokens of a verifier's reply as text, with their log-probs in nats.
    """

    text: str
    truncated: bool
    policy_version: int
    sampled: Sampled | None = None
    first: tuple[tuple[str, float], ...] = ()

    def authored(self, refused: str = "") -> tuple[Authored, ...]:
        """This text as a try at a task, for `LabelledTask.authored`; empty where the Scribe is not trained."""
        return () if self.sampled is None else (Authored(sampled=self.sampled, refused=refused),)


class Turn(Record):
    """What the policy is shown before it acts: messages that follow all earlier ones. `tools` are what it may call."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()


class Ask(Record):
    """The game wants another model's words (a patient, an assistant under audit) before it can go on.

    `role` is one that a pool of the run serves: `scribe`, `doctor` (both are the policy) or `verifier` (frozen).
    """

    role: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 1.0


class Done(Record):
    """The episode is over."""

    reason: EndReason = EndReason.SUBMITTED


State = Any
"""A game's own frozen record of where an episode is. Nobody but the game looks into it."""
Act = Callable[[Turn], str]
"""A policy: what it replies to a turn."""


class Slot(Record, omit_defaults=True):
    """One seeded draw of the proposer's plan: which source, which kind of task, and the seed of every later draw.

    `env` is the id of the slot's game where a run plays several.
    """

    index: int
    source: str
    kind: str
    seed: int
    env: str = ""


class Exam(Record):
    """Result of a frozen model's exam as a verifier: one line for the user, and its figures as JSON."""

    passed: bool
    summary: str
    figures: dict[str, Any]


@runtime_checkable
class Environment(Protocol):
    """One game. `env_id` names it in the registry and in every task it makes.

    `envs.contract.game.Game` has defaults for what most games do alike.
    """

    env_id: str

    @property
    def reports(self) -> Mapping[str, Report]:
        """The report of each game by its env_id: a run may play several games as one environment."""

    @property
    def notice(self) -> str:
        """One line for the plan and the start of a run: the data, and how much of it was left out."""

    def plan(self, index: int) -> Slot:
        """The index-th slot of an endless, seeded plan; equal indices give equal slots.

        Where a game has twins (one vignette, opposite labels), they are slots 2k and 2k+1.
        """

    def heldout_plan(self, index: int) -> Slot:
        """As `plan`, over the held-out sources. Raises ValueError when there are none."""

    async def exam(self, ask: Complete) -> Exam:
        """Ask a frozen model questions of known answer, if the report says that there is an exam."""

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """Turn a source into a labelled task. `complete` is the Scribe's engine; its failures are rejections.

        `verify` is a frozen model that passed its exam and judges what `complete` proposes; None where there is none.
        A trained Scribe's rewarded tries go into `LabelledTask.authored` (see envs/contract/authorship.py).
        """

    def begin(self, task: Task) -> tuple[State, Turn]:
        """The start of an episode: a pure function of the task, so that the n episodes of a group are comparable."""

    def advance(self, state: State, action: str, replies: tuple[Reply, ...] = ()) -> tuple[State, Turn | Ask | Done]:
        """What follows an action. Pure: `envs.contract.replay` gives the same episode again.

        After an `Ask` it is called again with the same state and action, and the reply added to `replies`; the state
        that came with the Ask is not used.
        """

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        """Score a finished episode. Raises ValueError when episode and label are of different tasks.

        A reward that changes over a run depends on `version`, the policy_version at scoring; None is the run's end.
        """

    def unread(self, episode: Episode) -> tuple[int, ...] | None:
        """Which replies of a finished episode the game could not read, from 0; None for a game that reads any reply."""

    def kind(self, labelled: LabelledTask) -> str:
        """What a policy must find out, as a class: means of blind policies are balanced over it, and no probe of the
        prompt's wording may predict it."""

    def oracle(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """A policy for one episode of this task that scores the maximum."""

    def demonstrator(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """A policy whose episodes are the warm-up's examples: the oracle, unless warm-up must not teach some of it."""


@runtime_checkable
class Checker(Protocol):
    """Verifies labels by code that is independent of the generator."""

    def disagreement(self, labelled: LabelledTask) -> str | None:
        """Why the label is false, or None when it is true."""
