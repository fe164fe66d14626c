"""Audits, judged by the game's own reward."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from actors.episode import of_game
from common.records import Episode
from envs.oversight.environment import Oversight
from envs.oversight.reward import audit_of, confusion
from envs.oversight.tasks import truth_of
from envs.oversight.trial import TYPES
from evals.core.played import Judged, PlayedSettings, Playing, Policy
from evals.suites.oversight.trials import Trial

RIGHT, UNDECIDED = "none", "undecided"
"""What a proposal without an error is, or was said to be (approved); and one on which nothing was decided."""
Confusion = dict[str, dict[str, int]]
"""Proposals by (what is true, what was said): a type of error, `none`, `undecided`."""


class AuditSettings(PlayedSettings):
    """What an audit depends on beside the trial."""

    temporal: str


class Case(Judged):
    """One judged audit. `proved`, `typed`: errors flagged with clause and value, with their type; `bias`: whether the
    right one was named, None where the protocol limits none."""

    part: str
    tier: str
    skill: float
    audit: float
    confusion: Confusion
    proved: int
    bias: bool | None

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

    def said(self) -> dict[str, int]:
        """Proposals by what was said of them."""
        total: dict[str, int] = {}
        for said in self.confusion.values():
            for name, count in said.items():
                total[name] = total.get(name, 0) + count
        return total


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


def by_policy(env: Oversight, trials: Sequence[Trial], policy: Policy) -> list[Case]:
    """The judged audits of a policy without a model."""
    return Playing(env, trials, partial(judge, env)).by_policy(policy)


def _flags(said: dict[str, int]) -> list[int]:
    return [count for name, count in said.items() if name in TYPES]
