"""What a game counts over a batch, and where a number is healthy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.records import Record

Measures = Mapping[str, float | None]
"""A game's measures of one batch, by name; None where nothing could be counted."""
History = Sequence[Measures]
"""The measures of all steps, the first step first."""


class Band(Record):
    """The healthy range of a measure. `steps` batches in a row outside it raise an alarm with the text `remedy`."""

    low: float
    high: float
    steps: int
    remedy: str

    def holds(self, value: float | None) -> bool:
        """Whether the value is in the range; None is not."""
        return value is not None and self.low <= value <= self.high


class Drift(Record):
    """How far a measure may move from where its own run began, before that counts (`envs.contract.alarms`).

    It may rise to `rise` and fall to `fall` times the beginning, None: as far as it likes. Changes below `least`, in
    the measure's unit, never count. The words are for people, before the two values: "replies grow". Raises ValueError
    for a `least` that is not above 0.
    """

    least: float
    rise: float | None = None
    fall: float | None = None
    rises: str = ""
    falls: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        if self.least <= 0:
            raise ValueError(f"a drift's least {self.least:g} must be above 0, or any change would count")

    def allowed(self, begin: float, change: float) -> float:
        """How large a change of that sign is healthy; infinite where any is."""
        if change >= 0:
            return float("inf") if self.rise is None else max(self.least, (self.rise - 1) * begin)
        return float("inf") if self.fall is None else max(self.least, (1 - self.fall) * begin)


class Measure(Record):
    """One number per batch. With a `header` it has a column in the terminal; `drawn`, a line in the plot.

    Where several games are played, only the last one with a header has a column.
    """

    name: str
    help: str
    header: str = ""
    form: str = "{:.0%}"
    drawn: bool = False
    band: Band | None = None
    drift: Drift | None = None


def values(history: History, name: str) -> list[float | None]:
    """One measure in every step."""
    return [measures.get(name) for measures in history]
