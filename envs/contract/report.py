"""What a game says of its own results, for the console, metrics, plots, the page, the model card and checkpoints.

A game overrides what it knows better. The defaults suit any game: a reply with a reward above 0 solved its task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from common.records import LabelledTask, Message, Provenance, Record, Reward
from common.sections import EnvSettings
from common.statistics import Interval, mean, share
from envs.contract.page_view import PageView

Measures = Mapping[str, float | None]
"""A game's measures of one batch, by name; None where nothing could be counted."""
History = Sequence[Measures]
"""The measures of all steps, the first step first."""
Span = tuple[str, str]
"""Text and its style, as Rich names styles."""
Score = tuple[float, ...]
WINDOW = 8
"""Batches that a checkpoint is judged by: one batch of a few groups says little."""


class Measure(Record):
    """One number per batch. With a `header` it has a column on the console; `drawn`, a line in the plot.

    Where several games are played, only the last one with a header has a column.
    """

    name: str
    help: str
    header: str = ""
    form: str = "{:.0%}"
    drawn: bool = False
    band: Band | None = None


class Band(Record):
    """Where a healthy measure is. `steps` batches in a row outside it are an alarm, which says `remedy`."""

    low: float
    high: float
    steps: int
    remedy: str

    def outside(self, values: Sequence[float | None]) -> int:
        """How many of the newest values in a row are outside; one that could not be counted is."""
        return sum(1 for _ in takewhile(lambda value: not self._inside(value), reversed(values)))

    def _inside(self, value: float | None) -> bool:
        return value is not None and self.low <= value <= self.high


class Outcome(Record):
    """The scored replies to one task. Outcomes of twins share their `pair`."""

    labelled: LabelledTask
    rewards: tuple[Reward, ...]
    pair: str = ""


class Card(Record):
    """The game's part of a model card, Markdown: what the model does, what it was trained on, tags of the Hub."""

    about: str
    data: str
    tags: tuple[str, ...] = ()


class Report:
    """A game's report. Holds no data of the game: it is also made where only a run's folder is."""

    title = "Solved"
    """Of the plot's panel."""
    measures: tuple[Measure, ...] = (
        Measure(name="solved_share", help="Share of replies with a reward above 0.", header="solved", drawn=True),
    )
    heldout_drawn = "solved_share"
    """The held-out measure in the plot."""
    kinds: tuple[str, ...] = ()
    """Kinds of tasks, as far as they are known before one is made."""
    stages: tuple[tuple[str, str], ...] = ()
    """(stage, outcome) of the proposer's work, as far as they are known before."""
    exam = ""
    """What a verifier must reach in the game's exam; empty when the game has none."""
    view: PageView = PageView()

    def measure(self, outcomes: Sequence[Outcome]) -> dict[str, float | None]:
        """Every one of `measures` over the outcomes of one batch."""
        return {"solved_share": mean([float(reward.total > 0) for one in outcomes for reward in one.rewards])}

    def heldout(self, outcomes: Sequence[Outcome]) -> dict[str, Interval]:
        """What the held-out curve keeps, with intervals."""
        return {"solved_share": share(reward.total > 0 for one in outcomes for reward in one.rewards)}

    def heldout_line(self, measures: Mapping[str, Interval]) -> str:
        """Held-out measures in a few words."""
        return ", ".join(f"{name.replace('_', ' ')} {figure}" for name, figure in measures.items())

    def alarm(self, history: History) -> bool:
        """Whether a measure has been outside its band for too long."""
        return any(band.outside(_values(history, name)) >= band.steps for name, band in self._bands())

    def warning(self, history: History) -> str:
        """What to tell a person after the newest step; "" while all is well, and between repetitions of an alarm."""
        return "; ".join(filter(None, (self._warning(name, band, history) for name, band in self._bands())))

    def score(self, history: History) -> Score | None:
        """How good the policy is, compared like a tuple, over the last batches; None where nothing was counted."""
        value = rolling(history, self.measures[0].name)
        return None if value is None else (value,)

    def score_line(self, score: Score) -> str:
        """A score in a few words."""
        return f"{self.measures[0].name.replace('_', ' ')} {score[0]:.0%}"

    def proposals(self, provenance: Provenance) -> list[tuple[str, str]]:
        """(stage, outcome) of each thing the proposer tried while it made a task of this provenance."""
        return []

    def card(self, settings: EnvSettings) -> Card:
        """The model card's part."""
        about = f"**A research model.** It was trained by reinforcement learning on the game `{settings.id}`."
        return Card(about=about, data=f"The tasks of the game `{settings.id}`.")

    def texts(self) -> list[str]:
        """Texts of the game, from which the tokenizer of a tiny random model is made."""
        return []

    def question(self, text: str) -> tuple[Message, ...]:
        """The prompt that puts a person's `text` to a trained model. Raises ValueError when that cannot be."""
        raise ValueError("the run's game takes no text of a person")

    def answer(self, text: str, reply: str, truncated: bool) -> tuple[Span, ...]:
        """What the model replied about `text`, for a terminal."""
        return ((reply, ""),)

    def _bands(self) -> list[tuple[str, Band]]:
        return [(measure.name, measure.band) for measure in self.measures if measure.band is not None]

    def _warning(self, name: str, band: Band, history: History) -> str:
        values = _values(history, name)
        steps = band.outside(values)
        if steps == 0 or steps % band.steps:
            return ""
        newest = ", ".join("-" if value is None else f"{value:.0%}" for value in values[-band.steps :])
        return (
            f"{name.replace('_', ' ')} {newest} in the last {band.steps} batches ({steps} in a row outside "
            f"{band.low:.0%} to {band.high:.0%}): {band.remedy}"
        )


def rolling(history: History, name: str) -> float | None:
    """The mean of a measure over those of the newest WINDOW batches in which it was counted."""
    return mean([value for value in _values(history[-WINDOW:], name) if value is not None])


def _values(history: History, name: str) -> list[float | None]:
    return [measures.get(name) for measures in history]
