"""A game's results: what the terminal, metrics, plots, the page, the model card and checkpoints show of them.

A game overrides what it knows better. The defaults suit any game: an episode solved its task where its reward says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.records import EpisodeStats, LabelledTask, Message, Provenance, Record, Reward, Task
from common.sections import EnvSettings
from common.statistics import Interval, mean, share
from envs.contract.alarms import Alarm, of_band, of_drift
from envs.contract.measures import Band as Band  # games take these from here
from envs.contract.measures import Drift as Drift
from envs.contract.measures import History as History
from envs.contract.measures import Measure as Measure
from envs.contract.measures import Measures as Measures
from envs.contract.measures import values
from envs.contract.page_view import PageView

Span = tuple[str, str]
"""Text and its style, as Rich names styles."""
Score = tuple[float, ...]
WINDOW = 8
"""Number of batches over which a checkpoint is scored, since one batch of a few groups is too noisy."""


class Outcome(Record):
    """The scored replies to one task. Outcomes of twins share their `pair`.

    `unread` counts the replies of each episode that the game could not read; empty where it reads every reply.
    """

    labelled: LabelledTask
    rewards: tuple[Reward, ...]
    pair: str = ""
    stats: tuple[EpisodeStats, ...] = ()
    unread: tuple[int, ...] = ()


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
    heldout_chance: float | None = None
    """What a policy that reads nothing reaches in it, as a line in the plot; None where nobody knows."""
    kinds: tuple[str, ...] = ()
    """Kinds of tasks, as far as they are known before one is made."""
    stages: tuple[tuple[str, str], ...] = ()
    """(stage, outcome) of the proposer's work, as far as they are known before."""
    rejections: tuple[str, ...] = ()
    """Reasons for which the game itself makes no task of a slot (`Rejection.reason`)."""
    exam = ""
    """What a verifier must reach in the game's exam, as text; empty when the game has no exam."""
    view: PageView = PageView()
    collapse_remedy = "start again with half the learner.learning_rate"
    """What to do when measures drift and the goal, the first of `measures`, does not rise."""

    def measure(self, outcomes: Sequence[Outcome]) -> dict[str, float | None]:
        """Every one of `measures` over the outcomes of one batch."""
        return {"solved_share": mean([float(reward.solved) for one in outcomes for reward in one.rewards])}

    def heldout(self, outcomes: Sequence[Outcome]) -> dict[str, Interval]:
        """What the held-out curve keeps, with intervals."""
        return {"solved_share": share(reward.solved for one in outcomes for reward in one.rewards)}

    def heldout_line(self, measures: Mapping[str, Interval]) -> str:
        """Held-out measures in a few words."""
        return ", ".join(f"{name.replace('_', ' ')} {figure}" for name, figure in measures.items())

    def alarms(self, history: History) -> list[str]:
        """The alarms in effect after each step; "" where there was none."""
        return [_joined(found) for found in self._alarms(history)]

    def alarm(self, history: History) -> bool:
        """Whether one is in effect after the newest step."""
        return bool(self.warning(history, repeat=True))

    def warning(self, history: History, repeat: bool = False) -> str:
        """What people are to be told after the newest step; "" without an alarm, and between repetitions of one.

        `repeat` gives it in between too.
        """
        newest = self._alarms(history)[-1:]
        return _joined([one for found in newest for one in found if repeat or one.told])

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
        raise ValueError("the game takes no text of yours, only tasks: give --task N for one that it makes")

    def answer(self, text: str, reply: str, truncated: bool) -> tuple[Span, ...]:
        """The model's reply about `text`, for a terminal."""
        return ((reply, ""),)

    def task_of(self, text: str, settings: EnvSettings) -> Task | LabelledTask:
        """The task that a user wrote into a file, for the trained model to play; with its label where the file has it.

        Raises ValueError, one line, for a text that is no task of this game.
        """
        raise ValueError(f"the game {settings.id} takes no task from a file: give --task N for one that it makes")

    def _alarms(self, history: History) -> list[list[Alarm]]:
        """All that are in effect after each step."""
        found = [
            of_band(one.name, one.band, values(history, one.name)) for one in self.measures if one.band is not None
        ]
        found.append(of_drift(self.measures, history, self.measures[0], self.collapse_remedy))
        return [[one for one in step if one is not None] for step in zip(*found, strict=True)]


def rolling(history: History, name: str) -> float | None:
    """The mean of a measure over those of the newest WINDOW batches in which it was counted."""
    return mean([value for value in values(history[-WINDOW:], name) if value is not None])


def _joined(found: Sequence[Alarm]) -> str:
    return "; ".join(one.text for one in found)
