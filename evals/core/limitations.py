"""What every suite says of the limits of a result: sentences that are written from its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from common.records import EndReason
from common.statistics import Interval

FEW = 30
"""Episodes below which nothing is compared."""
_REMEDIES = {
    EndReason.CONTEXT: "had no room left in the model's context: raise model.context of --spec",
    EndReason.LENGTH: "had a reply cut off: raise --max-tokens",
    EndReason.MAX_TURNS: "used up their turns",
    EndReason.INVALID: "ended at replies that hold no readable call",
}


def ends(episodes: str, count: int, reasons: Mapping[str, int], invalid: Interval) -> Iterator[str]:
    """How many of `count` episodes a limit ended, with its remedy; and the share of replies that could not be read."""
    for reason, remedy in _REMEDIES.items():
        if reasons.get(reason):
            yield f"{reasons[reason]} of {count} {episodes} {remedy}."
    if value(invalid):
        yield f"{value(invalid):.1%} of its replies hold no readable call."


def apart(figures: Mapping[str, Interval]) -> tuple[str, str] | None:
    """The names of the lowest and the highest figure, where their intervals do not overlap."""
    worst, best = (pick(figures, key=lambda name: value(figures[name])) for pick in (min, max))
    low, high = figures[worst].upper, figures[best].lower
    return None if low is None or high is None or low >= high else (worst, best)


def value(figure: Interval) -> float:
    """The figure; 0 where nothing was counted."""
    return 0.0 if figure.value is None else figure.value


def half(figure: Interval) -> float:
    """Half of the width of its interval."""
    return 0.0 if figure.lower is None or figure.upper is None else (figure.upper - figure.lower) / 2
