"""The report of a game of several turns: how long its episodes are, how they end, and whether they drift."""

from __future__ import annotations

from collections.abc import Sequence

from common.records import EndReason
from common.statistics import mean
from envs.contract.report import Drift, Measure, Outcome, Report
from envs.contract.turns_view import TurnsView


class TurnsReport(Report):
    """What every game of several turns measures of a batch, beside the share solved.

    `calls` and `fault_share` are of games that say which replies they cannot read (`Environment.unread`).
    """

    measures = (
        *Report.measures,
        Measure(
            name="turns",
            help="Mean turns per episode.",
            header="turns",
            form="{:.1f}",
            drift=Drift(least=0.5, rise=1.5, fall=0.67, rises="turns per episode rise", falls="turns per episode fall"),
        ),
        Measure(
            name="calls",
            help="Mean replies per episode with a call that the game could read.",
            header="calls",
            form="{:.1f}",
            drift=Drift(least=0.3, fall=0.67, falls="calls per episode fall"),
        ),
        Measure(
            name="fault_share",
            help="Share of replies without a readable call.",
            header="faults",
            drawn=True,
            drift=Drift(least=0.2, rise=1.5, rises="replies without a readable call rise"),
        ),
        Measure(
            name="reply_tokens",
            help="Mean sampled tokens per turn.",
            header="tok/turn",
            form="{:.0f}",
            drift=Drift(
                least=4, rise=1.5, fall=0.5, rises="replies grow", falls="replies shrink", unit="tokens per turn"
            ),
        ),
        Measure(
            name="entropy",
            help="Mean negative log-prob of the sampled tokens, nats: an estimate of the policy's entropy.",
            form="{:.2f}",
            drift=Drift(
                least=0.1, rise=2, fall=0.33, rises="entropy rises", falls="entropy falls", unit="nats per token"
            ),
        ),
        Measure(
            name="unfinished_share",
            help="Share of episodes that a limit or unreadable replies ended.",
            drawn=True,
            drift=Drift(least=0.3, rise=1.5, rises="unfinished episodes rise"),
        ),
        Measure(
            name="prefix_cached_share",
            help="Share of the prompt tokens of later turns that were in the engine's prefix cache.",
            header="cached",
        ),
    )
    view = TurnsView()
    collapse_remedy = (
        "the policy is likely collapsing; stop the run and start again with learner.kl_coef: 0.05 and "
        "learner.kl_estimator: k3, or with half the learner.learning_rate"
    )

    def measure(self, outcomes: Sequence[Outcome]) -> dict[str, float | None]:
        """Every one of `measures`."""
        stats = [one for outcome in outcomes for one in outcome.stats]
        turns = sum(one.turns for one in stats)
        tokens = sum(one.sampled_tokens for one in stats)
        return {
            **super().measure(outcomes),
            **_calls(outcomes),
            "turns": _share(turns, len(stats)),
            "reply_tokens": _share(tokens, turns),
            "entropy": _share(sum(one.surprise for one in stats), tokens),
            "unfinished_share": mean([float(one.reason != EndReason.SUBMITTED) for one in stats]),
            "prefix_cached_share": _share(
                sum(one.cached_tokens for one in stats), sum(one.later_prompt_tokens for one in stats)
            ),
        }


def _calls(outcomes: Sequence[Outcome]) -> dict[str, float | None]:
    """Of the episodes whose game said what it could not read."""
    told = [pair for one in outcomes if one.unread for pair in zip(one.stats, one.unread, strict=True)]
    turns, unread = sum(stats.turns for stats, _ in told), sum(count for _, count in told)
    return {"calls": _share(turns - unread, len(told)), "fault_share": _share(unread, turns)}


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
