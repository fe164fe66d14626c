"""Episodes of several turns: played once, kept over a crash, and judged from what was said.

`replies.jsonl`: the first line holds the settings, every further one all replies of one episode.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec
from rich.console import Console
from rich.progress import track

from actors.engine import PromptTooLong
from actors.episode import Model, play
from common.config import RunSpec
from common.records import LIMITS_MET, EndReason, Episode, LabelledTask, Record
from envs.contract import replay
from envs.contract.env import Act, Environment
from envs.contract.tool_game import ToolSettings
from evals.core.asking import REPLIES, ask, resolved
from evals.core.client import ModelClient
from evals.core.engine import doctor_pool
from evals.core.engine_spec import fitting
from evals.core.journal import Journal as CoreJournal
from evals.core.journal import Settings, digest


class TurnGame(Environment, Protocol):
    """A game of tools, and how its calls are written."""

    @property
    def settings(self) -> ToolSettings:
        """The game's."""


class Trial(Record):
    """A task of a suite, by a name that stays the same over versions. Suites add what they group by."""

    name: str
    labelled: LabelledTask


class PlayedSettings(Settings):
    """What an episode depends on beside its task."""

    context: int
    call_syntax: str


class Played(Record):
    """The replies of one episode. `prompt` is a digest of the task and its first message; `tokens` were sampled."""

    trial: str
    prompt: str
    actions: tuple[str, ...]
    reason: EndReason
    tokens: int = 0


class Judged(Record):
    """What every suite counts of an episode; `invalid`: replies without a readable call. Suites add the rest."""

    trial: str
    task_id: str
    turns: int
    tokens: int
    invalid: int
    reason: EndReason

    @property
    def cut(self) -> bool:
        """Whether a limit ended it."""
        return self.reason in LIMITS_MET

    @property
    def unit(self) -> str:
        """What intervals are over: episodes of one unit are not independent."""
        return self.trial


OfTrial = TypeVar("OfTrial", bound=Trial)
Case = TypeVar("Case", bound=Judged)
OfSuite = TypeVar("OfSuite", bound=PlayedSettings)
Policy = Callable[[LabelledTask], Act]
"""Begins an episode of a task."""


class Journal(CoreJournal[Played]):
    """`replies.jsonl`, opened for appending. Raises ValueError if it holds episodes made with other settings."""

    def __init__(self, path: Path, settings: PlayedSettings) -> None:
        super().__init__(path, settings, Played, lambda one: one.trial, "the replies of an episode")


class Playing(Generic[OfTrial, Case]):
    """One episode of every task, by a model or by policies without one.

    `judge` takes a task, its episode and how many tokens were sampled, and judges by the game's own reward.
    """

    def __init__(
        self, env: TurnGame, trials: Sequence[OfTrial], judge: Callable[[OfTrial, Episode, int], Case]
    ) -> None:
        self._env, self._trials, self._judge = env, trials, judge

    def by_policy(self, policy: Policy) -> list[Case]:
        """The judged episodes of a policy without a model."""
        return [
            self._judge(trial, replay.play(self._env, trial.labelled.task, policy(trial.labelled)), 0)
            for trial in self._trials
        ]

    def by_policies(self, known: Mapping[str, Policy], console: Console) -> dict[str, list[Case]]:
        """Those of each."""
        each = track(known.items(), "baselines", console=console, transient=True)
        return {name: self.by_policy(policy) for name, policy in each}

    def by_model(
        self, args: Namespace, spec: RunSpec, settings: Callable[..., OfSuite], console: Console, client: ModelClient
    ) -> tuple[list[Case], OfSuite]:
        """Those of the model, played now or found in the journal. `settings` takes the fields of PlayedSettings."""
        folder, sampling = resolved(args, spec, console, client, samples=1)
        if args.spec is None:
            spec = fitting(spec, folder)
        fields = msgspec.structs.asdict(sampling)
        chosen = settings(**fields, context=spec.model.context, call_syntax=self._env.settings.call_syntax)
        with closing(Journal(args.out / REPLIES, chosen)) as journal:
            waiting = self._unplayed(journal)
            for line in journal.damaged:
                console.print(line, soft_wrap=True)
            if len(waiting) < len(self._trials):
                there = f"{len(self._trials) - len(waiting)} of {len(self._trials)} tasks"
                console.print(f"{there} are played in {args.out} already")
            one = partial(_keep, self._env, spec.sampling.max_tokens, journal)
            # No more at once than are decoded: each further episode would push the prefix of another out of the cache.
            ask(waiting, client.asking(spec, folder), one, doctor_pool(spec).max_num_seqs, console)
        return [self._recalled(journal.answered[trial.name], trial) for trial in self._trials], chosen

    def _unplayed(self, journal: Journal) -> list[OfTrial]:
        known = {(one.trial, one.prompt) for one in journal.answered.values()}
        return [trial for trial in self._trials if (trial.name, _prompt_of(self._env, trial)) not in known]

    def _recalled(self, one: Played, trial: OfTrial) -> Case:
        episode = Episode(task_id=trial.labelled.task.task_id, actions=one.actions, reason=one.reason)
        return self._judge(trial, episode, one.tokens)


def _prompt_of(env: TurnGame, trial: Trial) -> str:
    """Identifies task and first message."""
    _, turn = env.begin(trial.labelled.task)
    return f"{trial.labelled.task.task_id}-{digest(turn.messages)}"


async def _keep(env: TurnGame, max_tokens: int, journal: Journal, model: Model, trial: Trial) -> None:
    """Play an episode as rollouts are played, and keep it. One that does not fit the model's context has no reply."""
    task = trial.labelled.task
    try:
        (played,) = await play(env, task, model, 1, max_tokens)
        tokens = sum(len(step.completion.token_ids) for step in played.steps)
        actions, reason = played.episode.actions, played.episode.reason
    except PromptTooLong:
        actions, reason, tokens = ("",), EndReason.CONTEXT, 0
    prompt = _prompt_of(env, trial)
    journal.add(Played(trial=trial.name, prompt=prompt, actions=actions, reason=reason, tokens=tokens))
