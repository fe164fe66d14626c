"""A game's results: what the terminal, metrics, plots, the page, the model card and checkpoints show of them.

A game overrides what it knows better. The defaults suit any game: an episode solved its task where its reward says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from common.records import EpisodeStats, LabelledTask, Message, Provenance, Record, Reward
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
"""Number of batches over which a checkpoint is scored, since one batch of a few groups is too noisy."""


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


class Band(Record):
    """The healthy range of a measure. `steps` batches in a row outside it raise an alarm with the text `remedy`."""

    low: float
    high: float
    steps: int
    remedy: str

    def outside(self, values: Sequence[float | None]) -> int:
        """How many of the newest values in a row are outside the range; None counts as outside."""
        return sum(1 for _ in takewhile(lambda value: not self._inside(value), reversed(values)))

    def _inside(self, value: float | None) -> bool:
        return value is not None and self.low <= value <= self.high


class Outcome(Record):
    """The scored replies to one task. Outcomes of twins share their `pair`."""

    labelled: LabelledTask
    rewards: tuple[Reward, ...]
    pair: str = ""
    stats: tuple[EpisodeStats, ...] = ()


class Card(Record):
    """The game's part of a model card, Markdown: the model's use, its training data, tags of the Hub."""

    about: str
    data: str
    tags: tuple[str, ...] = ()


class Report:
    """A game's report. Holds no data of the game: it is also made where only a run's folder exists."""

    title = "Solved"
    """Title of the plot's panel."""
    measures: tuple[Measure, ...] = (
        Measure(name="solved_share", help="Share of episodes that solved their task.", header="solved", drawn=True),
    )
    heldout_drawn = "solved_share"
    """The held-out measure in the plot."""
    kinds: tuple[str, ...] = ()
    """Kinds of tasks, as far as they are known before one is made."""
    stages: tuple[tuple[str, str], ...] = ()
    """(stage, outcome) of the proposer's work, as far as they are known before."""
    rejections: tuple[str, ...] = ()
    """Reasons for which the game itself makes no task of a slot (`Rejection.reason`)."""
    exam = ""
    """What a verifier must reach in the game's exam, as text; empty when the game has no exam."""
    view: PageView = PageView()

    def measure(self, outcomes: Sequence[Outcome]) -> dict[str, float | None]:
        """Every one of `measures` over the outcomes of one batch."""
        return {"solved_share": mean([float(reward.solved) for one in outcomes for reward in one.rewards])}

    def heldout(self, outcomes: Sequence[Outcome]) -> dict[str, Interval]:
        """What the held-out curve keeps, with intervals."""
        return {"solved_share": share(reward.solved for one in outcomes for reward in one.rewards)}

    def heldout_line(self, measures: Mapping[str, Interval]) -> str:
        """Held-out measures in a few words."""
        return ", ".join(f"{name.replace('_', ' ')} {figure}" for name, figure in measures.items())

    def alarm(self, history: History) -> bool:
        """Whether a measure has been outside its range for too long."""
        return any(band.outside(_values(history, name)) >= band.steps for name, band in self._bands())

    def warning(self, history: History) -> str:
        """The warning to show after the newest step; "" without an alarm, and between repetitions of one."""
        return "; ".join(filter(None, (self._warning(name, band, history) for name, band in self._bands())))

    def score(self, history: History) -> Score | None:
        """The policy's score over the last batches, compared like a tuple; None where nothing was counted."""
        value = rolling(history, self.measures[0].name)
        return None if value is None else (value,)

    def score_line(self, score: Score) -> str:
        """A score in a few words."""
        return f"{self.measures[0].name.replace('_', ' ')} {score[0]:.0%}"

    def proposals(self, provenance: Provenance) -> list[tuple[str, str]]:
        """(stage, outcome) of each attempt of the proposer while it made a task of this provenance."""
        return []

    def card(self, settings: EnvSettings) -> Card:
        """The model card's part."""
        about = f"**A research model.** It was trained by reinforcement learning on the game `{settings.id}`."
        return Card(about=about, data=f"The tasks of the game `{settings.id}`.")

    def texts(self) -> list[str]:
        """Texts of the game, from which the tokenizer of a tiny random model is made."""
        return []

    def question(self, text: str) -> tuple[Message, ...]:
        """The prompt that asks a trained model about a user's `text`. Raises ValueError when there is none."""
        raise ValueError("the run's game cannot ask about a text")

    def answer(self, text: str, reply: str, truncated: bool) -> tuple[Span, ...]:
        """The model's reply about `text`, for a terminal."""
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
