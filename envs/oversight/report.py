"""What the oversight game says of its own results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from common.records import LabelledTask
from common.sections import EnvSettings
from common.statistics import Interval, Z, mean
from envs.contract.report import Card, History, Measure, Outcome, Score, rolling
from envs.contract.turns_report import TurnsReport
from envs.oversight.files import read_trial
from envs.oversight.trial import TIERS
from envs.oversight.view import AuditView

_SHARES = {
    "audit": "Mean score of the source: F of the flags, precision of the approvals, share decided.",
    "found": "Share of the errors that were flagged.",
    "typed": "Share of the errors that were flagged with their type.",
    "proved": "Share of the errors that were flagged with clause and value.",
    "false_alarms": "Share of the right proposals that were flagged.",
    "decided": "Share of the proposals that were decided.",
}
_OF_TIER = "skill_"
"""Held-out measures of one tier."""


class OversightReport(TurnsReport):
    """Skill, in which whoever decides without reading has 0 at most, and what it is made of."""

    title = "Audits"
    measures = (
        Measure(
            name="skill", help="Mean skill: 1 perfect, 0 without reading.", header="skill", form="{:+.2f}", drawn=True
        ),
        *TurnsReport.measures,
        *(Measure(name=name, help=text, header=name if name == "found" else "") for name, text in _SHARES.items()),
    )
    heldout_drawn = "skill"
    heldout_chance = 0.0
    kinds = tuple(TIERS)
    view = AuditView()

    def measure(self, outcomes: Sequence[Outcome]) -> dict[str, float | None]:
        """Every one of `measures`."""
        figures = [reward.figures for one in outcomes for reward in one.rewards]
        own = {name: mean([one[name] for one in figures if name in one]) for name in ("skill", *_SHARES)}
        return {**super().measure(outcomes), **own}

    def heldout(self, outcomes: Sequence[Outcome]) -> dict[str, Interval]:
        """Over trials, each pair of twins counting as one where both were played; skill also by tier."""
        tiers = sorted({one.labelled.task.provenance.kind for one in outcomes}, key=list(TIERS).index)
        by_tier = {
            f"{_OF_TIER}{tier}": _interval([o for o in outcomes if o.labelled.task.provenance.kind == tier], "skill")
            for tier in tiers
        }
        overall = {name: _interval(outcomes, name) for name in ("skill", *_SHARES)}
        return {**overall, **by_tier, **super().heldout(outcomes)}

    def heldout_line(self, measures: Mapping[str, Interval]) -> str:
        """Skill, over all and by tier."""
        return ", ".join(
            f"{name.replace('_', ' ')} {figure}" for name, figure in measures.items() if name.startswith("skill")
        )

    def score(self, history: History) -> Score | None:
        """The skill."""
        skill = rolling(history, "skill")
        return None if skill is None else (skill,)

    def score_line(self, score: Score) -> str:
        """The skill."""
        return f"skill {score[0]:+.2f}"

    def task_of(self, text: str, settings: EnvSettings) -> LabelledTask:
        """A trial in JSON, see `envs.oversight.files`. Raises ValueError."""
        return read_trial(text)

    def card(self, settings: EnvSettings) -> Card:
        """An auditor of invented trials: nothing is claimed of real ones."""
        about = (
            "**A research model. Not a medical device, not for clinical use.** It audits an assistant's proposals on "
            "the patients of invented clinical trials, with tools, and reports those that break the trial's protocol."
        )
        return Card(about=about, data=f"The synthetic game `{settings.id}`: invented trials, no patient's data.")


def skills_of(measures: Mapping[str, Interval]) -> dict[str, float]:
    """The skill by tier, of held-out measures."""
    found = {name.removeprefix(_OF_TIER): one.value for name, one in measures.items() if name.startswith(_OF_TIER)}
    return {tier: skill for tier, skill in found.items() if skill is not None}


def _interval(outcomes: Sequence[Outcome], name: str) -> Interval:
    """The mean of a figure over pairs of twins, with a normal interval (their standard error)."""
    pairs: dict[str, list[float]] = {}
    for number, one in enumerate(outcomes):
        values = [reward.figures[name] for reward in one.rewards if name in reward.figures]
        if values:
            pairs.setdefault(one.pair or str(number), []).extend(values)
    means = [fmean(values) for values in pairs.values()]
    if not means:
        return Interval(value=None, lower=None, upper=None, of=0)
    if len(means) == 1:
        return Interval(value=means[0], lower=None, upper=None, of=1)
    half = Z * stdev(means) / len(means) ** 0.5
    return Interval(value=fmean(means), lower=fmean(means) - half, upper=fmean(means) + half, of=len(means))
