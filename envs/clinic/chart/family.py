"""What each kind of request implements. Its label is computed from the rows of the chart, and found again elsewhere."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from common.records import Record
from envs.clinic.chart.chart import Chart
from envs.clinic.chart.facts import Facts

Question = dict[str, Any]
"""What is asked beside the stay: times in minutes, names."""
Lists = dict[str, list[str]]
"""keep, stop and add, each sorted."""


class Answer(Record):
    """What must be submitted; `lists` where a reconciliation must be recorded before; `most` the highest that is "
    "safe."""

    value: float | str
    lists: Lists = {}
    most: float | None = None
    severe: bool = False

    @property
    def rank(self) -> tuple[Any, ...]:
        """Orders the answers of twins: by what is stopped, then by the value."""
        return (len(self.lists.get("stop", ())), self.value)


class Family(ABC):
    """One kind of request. `reads` are the tools without which its answer can't be known; `rules` open the request."""

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]
    rules: ClassVar[str]
    careless_hits: ClassVar[int] = 0
    """For how many of two twins a careless reader may be right."""

    @abstractmethod
    def draw(self, rng: random.Random) -> Facts:
        """A stay, a question, and the twin's change. It need not be a good one: `good` says which are."""

    @abstractmethod
    def asked(self, hadm_id: str, question: Question) -> str:
        """The question in words."""

    @abstractmethod
    def heard(self, request: str) -> Question:
        """The question of the words."""

    @abstractmethod
    def solve(self, chart: Chart, question: Question) -> Answer:
        """The answer."""

    @abstractmethod
    def careless(self, chart: Chart, question: Question) -> Answer:
        """What a reader answers who sees all rows and ignores what the rules say of them."""

    def calculator(self, chart: Chart, question: Question) -> tuple[str, dict[str, Any]] | None:
        """The calculator that a careful reader calls, with its arguments; None where there is none."""
        return None
