"""What the clinic says of its own results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from common.sections import EnvSettings
from common.statistics import Interval, Z, mean
from envs.clinic.domains import DOMAINS, kit_name
from envs.clinic.page import CaseView
from envs.contract.report import Card, History, Measure, Outcome, Score, rolling
from envs.contract.turns_report import TurnsReport

_SHARES = {
    "process": "Mean share of what had to be read, less waste.",
    "safety": "Mean safety: what was due was done, less what was broken.",
    "accuracy": "Mean accuracy of the answers.",
    "exact": "Share of the triages with the right level.",
    "within_one": "Share of the triages within one level.",
    "under": "Share of the triages that take a patient for less urgent.",
    "violations": "Mean violations of safety an episode.",
}
_OF_KIT = "accuracy_"
"""Held-out measures of one tier of one domain."""


class ClinicReport(TurnsReport):
    """Accuracy, and the other parts of the reward."""

    title = "Cases"
    measures = (
        Measure(name="reward", help="Mean reward, 0 to 1.", form="{:.2f}"),
        *TurnsReport.measures,
        *(
            Measure(
                name=name,
                help=text,
                header=name if name in ("accuracy", "safety") else "",
                drawn=name == "accuracy",
            )
            for name, text in _SHARES.items()
        ),
    )
    heldout_drawn = "accuracy"
    kinds = tuple(kit_name(domain.name, tier) for domain in DOMAINS.values() for tier in domain.tiers)
    view = CaseView()

    def measure(self, outcomes: Sequence[Outcome]) -> dict[str, float | None]:
        """Every one of `measures`."""
        rewards = [reward for one in outcomes for reward in one.rewards]
        own = {name: mean([_figure(reward.figures, name) for reward in rewards]) for name in _SHARES}
        return {**super().measure(outcomes), "reward": mean([one.total for one in rewards]), **own}

    def heldout(self, outcomes: Sequence[Outcome]) -> dict[str, Interval]:
        """Over cases, each pair of twins counting as one where both were played; accuracy also by domain and tier."""
        kits = sorted({one.labelled.task.provenance.kind for one in outcomes})
        by_kit = {
            f"{_OF_KIT}{kit}": _interval([o for o in outcomes if o.labelled.task.provenance.kind == kit], "accuracy")
            for kit in kits
        }
        overall = {name: _interval(outcomes, name) for name in _SHARES}
        return {**overall, **by_kit, **super().heldout(outcomes)}

    def heldout_line(self, measures: Mapping[str, Interval]) -> str:
        """Accuracy and safety."""
        return ", ".join(f"{name} {measures[name]}" for name in ("accuracy", "safety") if name in measures)

    def score(self, history: History) -> Score | None:
        """The accuracy."""
        found = rolling(history, "accuracy")
        return None if found is None else (found,)

    def score_line(self, score: Score) -> str:
        """The accuracy."""
        return f"accuracy {score[0]:.2f}"

    def card(self, settings: EnvSettings) -> Card:
        """A model of invented cases: nothing is claimed of real ones."""
        about = (
            "**A research model. Not a medical device, not for clinical use.** It works invented clinical cases with "
            "tools, and submits an answer to each."
        )
        return Card(about=about, data=f"The synthetic game `{settings.id}`: invented patients, no patient's data.")


def _figure(figures: Mapping[str, float], name: str) -> float:
    """0 of an episode without an answer."""
    return figures.get(name, 0.0)


def _interval(outcomes: Sequence[Outcome], name: str) -> Interval:
    """The mean of a figure over pairs of twins, with a normal interval (their standard error)."""
    pairs: dict[str, list[float]] = {}
    for number, one in enumerate(outcomes):
        pairs.setdefault(one.pair or str(number), []).extend(_figure(reward.figures, name) for reward in one.rewards)
    means = [fmean(values) for values in pairs.values() if values]
    if len(means) < 2:
        value = means[0] if means else None
        return Interval(value=value, lower=value, upper=value, of=len(means))
    half = Z * stdev(means) / len(means) ** 0.5
    return Interval(value=fmean(means), lower=fmean(means) - half, upper=fmean(means) + half, of=len(means))
