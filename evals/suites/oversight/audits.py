"""Audits: played once, kept over a crash, and judged from what was said.

`replies.jsonl`: the first line holds the settings, every further one all replies of one audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actors.engine import PromptTooLong
from actors.episode import Model, of_game, play
from common.records import LIMITS_MET, EndReason, Episode, Record
from envs.contract import replay
from envs.oversight.environment import Oversight
from envs.oversight.reward import audit_of, confusion
from envs.oversight.tasks import truth_of
from envs.oversight.trial import TYPES
from evals.core.journal import Journal as CoreJournal
from evals.core.journal import Settings, digest
from evals.suites.oversight.policies import Policy
from evals.suites.oversight.trials import Trial

RIGHT, UNDECIDED = "none", "undecided"
"""What a proposal without an error is, or was said to be (approved); and one on which nothing was decided."""
Confusion = dict[str, dict[str, int]]
"""Proposals by (what is true, what was said): a type of error, `none`, `undecided`."""


class AuditSettings(Settings):
    """What an audit depends on beside the trial."""

    context: int
    call_syntax: str
    temporal: str


class Audited(Record):
    """The replies of one audit. `prompt` is a digest of the trial and its first message; `tokens` were sampled."""

    trial: str
    prompt: str
    actions: tuple[str, ...]
    reason: EndReason
    tokens: int = 0


class Case(Record):
    """One judged audit. `proved`, `typed`: errors flagged with clause and value, with their type; `bias`: whether the
    right one was named, None where the protocol limits none; `invalid`: replies without a readable call."""

    trial: str
    task_id: str
    part: str
    tier: str
    skill: float
    audit: float
    confusion: Confusion
    proved: int
    bias: bool | None
    turns: int
    tokens: int
    invalid: int
    reason: EndReason

    @property
    def proposals(self) -> int:
        """Of the trial."""
        return sum(self.said().values())

    @property
    def errors(self) -> int:
        """Proposals that are wrong."""
        return self.proposals - self.right

    @property
    def right(self) -> int:
        """Proposals that are right."""
        return sum(self.confusion.get(RIGHT, {}).values())

    @property
    def found(self) -> int:
        """Errors that were flagged, with whatever type."""
        return sum(count for name, said in self.confusion.items() if name != RIGHT for count in _flags(said))

    @property
    def typed(self) -> int:
        """Errors that were flagged with their type."""
        return sum(self.confusion.get(name, {}).get(name, 0) for name in TYPES)

    @property
    def false_alarms(self) -> int:
        """Right proposals that were flagged."""
        return sum(_flags(self.confusion.get(RIGHT, {})))

    @property
    def cut(self) -> bool:
        """Whether a limit ended it."""
        return self.reason in LIMITS_MET

    def said(self) -> dict[str, int]:
        """Proposals by what was said of them."""
        total: dict[str, int] = {}
        for said in self.confusion.values():
            for name, count in said.items():
                total[name] = total.get(name, 0) + count
        return total


class Journal(CoreJournal[Audited]):
    """`replies.jsonl`, opened for appending. Raises ValueError if it holds audits made with other settings."""

    def __init__(self, path: Path, settings: AuditSettings) -> None:
        super().__init__(path, settings, Audited, lambda one: one.trial, "the replies of an audit")


def unplayed(env: Oversight, trials: Sequence[Trial], journal: Journal) -> list[Trial]:
    """The trials of which the journal holds no audit."""
    known = {(one.trial, one.prompt) for one in journal.answered.values()}
    return [trial for trial in trials if (trial.name, prompt_of(env, trial)) not in known]


def prompt_of(env: Oversight, trial: Trial) -> str:
    """Identifies trial and first message."""
    _, turn = env.begin(trial.labelled.task)
    return f"{trial.labelled.task.task_id}-{digest(turn.messages)}"


async def audit(model: Model, trial: Trial, env: Oversight, max_tokens: int, journal: Journal) -> None:
    """Play an audit as rollouts are played, and keep it. A trial that does not fit the model's context has no reply."""
    task = trial.labelled.task
    try:
        (played,) = await play(env, task, model, 1, max_tokens)
        tokens = sum(len(step.completion.token_ids) for step in played.steps)
        actions, reason = played.episode.actions, played.episode.reason
    except PromptTooLong:
        actions, reason, tokens = ("",), EndReason.CONTEXT, 0
    prompt = prompt_of(env, trial)
    journal.add(Audited(trial=trial.name, prompt=prompt, actions=actions, reason=reason, tokens=tokens))


def by_policy(env: Oversight, trials: Sequence[Trial], policy: Policy) -> list[Case]:
    """The judged audits of a policy without a model."""
    return [
        judge(env, trial, replay.play(env, trial.labelled.task, policy(trial.labelled)), tokens=0) for trial in trials
    ]


def by_journal(env: Oversight, trials: Sequence[Trial], journal: Journal) -> list[Case]:
    """The judged audits of the journal."""
    cases = []
    for trial in trials:
        one = journal.answered[trial.name]
        episode = Episode(task_id=trial.labelled.task.task_id, actions=one.actions, reason=one.reason)
        cases.append(judge(env, trial, episode, one.tokens))
    return cases


def judge(env: Oversight, trial: Trial, episode: Episode, tokens: int) -> Case:
    """One audit, by the game's own reward."""
    truth = truth_of(trial.labelled.label)
    reward = of_game("score", env.score, episode, trial.labelled.label)
    audited = audit_of(env.calls(episode), truth, episode.reason)
    counts: Confusion = {}
    for (true, said), count in confusion(truth, audited).items():
        counts.setdefault(true, {})[said] = count
    errors = sum(found.wrong != "" for found in truth.findings.values())
    return Case(
        trial=trial.name,
        task_id=episode.task_id,
        part=trial.part,
        tier=trial.tier,
        skill=reward.figures["skill"],
        audit=reward.figures["audit"],
        confusion=counts,
        proved=round(reward.figures["proved"] * errors),
        bias=audited.bias == truth.bias if truth.graded_bias else None,
        turns=len(episode.actions),
        tokens=tokens,
        invalid=len(env.unread(episode) or ()),
        reason=episode.reason,
    )


def _flags(said: dict[str, int]) -> list[int]:
    return [count for name, count in said.items() if name in TYPES]
