"""How a game's episodes are shown on the page of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from common.records import Record

STANDINGS = ("good", "part", "bad", "none")


class Shown(Record):
    """One task as the run's parquet keeps it. `context`, what the policy saw, and `truth`, its label, are JSON."""

    context: str
    truth: str
    operators: Sequence[str] = ()
    tier: str = ""


class Part(Record):
    """A part of a component of a reward: what it earned, of at most `most`."""

    name: str
    value: float
    most: float

    @property
    def whole(self) -> bool:
        """Whether it earned all that it can."""
        return self.value >= self.most


def words(name: str) -> str:
    """A name of code as words: `false_alarm` as `false alarm`."""
    return name.replace("_", " ")


class PageView:
    """The default view of any game. A game overrides methods to show more; all text must be escaped."""

    task_title = "Task and label"
    shares: tuple[str, ...] = ("Solved",)
    """Shares of the replies in the page's table; the first is also counted over each episode."""

    legend: tuple[tuple[str, str], ...] = ()
    """Words of the page, and what they mean."""

    def task(self, shown: Shown) -> Markup:
        """The task and its label."""
        parts = (json.dumps(json.loads(text), indent=2, ensure_ascii=False) for text in (shown.context, shown.truth))
        return Markup("").join(Markup("<pre>{}</pre>").format(part) for part in parts)

    def reply(self, completion: str) -> Markup:
        """The policy's reply."""
        return Markup("<pre>{}</pre>").format(completion)

    def beside(self, shown: Shown, actions: Sequence[str]) -> Markup:
        """What stands beside the turns of an episode, whose replies are `actions`; empty for nothing."""
        return Markup("")

    def parts(self, shown: Shown, completion: str, components: Mapping[str, float]) -> Sequence[Part]:
        """What a component of the reward was added up from, where a game can say that; empty where it cannot.

        `completion` is the policy's last reply.
        """
        return ()

    def reason(self, reason: str) -> str:
        """The reason of a reward in words."""
        return words(reason)

    def standing(self, reason: str, reward: float, solved: bool) -> str:
        """One of STANDINGS, which the page shows by colour: right, partly right, wrong, or not readable."""
        return "good" if solved else "part" if reward > 0 else "bad"

    def counted(self, reason: str, reward: float, solved: bool) -> tuple[bool, ...]:
        """Whether an episode counts for each of `shares`."""
        return (solved,)
