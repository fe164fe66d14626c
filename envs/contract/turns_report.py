"""The report of a game of several turns: how long its episodes are, and how they end."""

from __future__ import annotations

from collections.abc import Sequence

from common.records import EndReason
from common.statistics import mean
from envs.contract.report import Measure, Outcome, Report


class TurnsReport(Report):
    """What every game of several turns measures of a batch, beside the share solved."""

    measures = (
        *Report.measures,
        Measure(name="turns", help="Mean turns per episode.", header="turns", form="{:.1f}"),
        Measure(name="reply_tokens", help="Mean sampled tokens per turn.", header="tok/turn", form="{:.0f}"),
        Measure(name="unfinished_share", help="Share of episodes that a limit or unreadable replies ended."),
        Measure(
            name="prefix_cached_share",
            help="Share of the prompt tokens of later turns that were in the engine's prefix cache.",
            header="cached",
        ),
    )

    def measure(self, outcomes: Sequence[Outcome]) -> dict[str, float | None]:
        """Every one of `measures`."""
        stats = [one for outcome in outcomes for one in outcome.stats]
        prompts = sum(one.later_prompt_tokens for one in stats)
        turns = sum(one.turns for one in stats)
        return {
            **super().measure(outcomes),
            "turns": mean([float(one.turns) for one in stats]),
            "reply_tokens": sum(one.sampled_tokens for one in stats) / turns if turns else None,
            "unfinished_share": mean([float(one.reason != EndReason.SUBMITTED) for one in stats]),
            "prefix_cached_share": sum(one.cached_tokens for one in stats) / prompts if prompts else None,
        }
