"""Defaults for games. A subclass of Game adds plan, propose, open, score and demonstration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from common.records import Episode, Label, Task
from common.sections import EnvSettings
from envs.contract.env import Complete, Done, Exam, Slot, Turn
from envs.contract.report import Report


class Game:
    """Defaults of `envs.contract.env.Environment`: one turn, nothing held out, no exam, the report of any game."""

    env_id: str
    report: Report = Report()
    """Also made without a game, where only a run's folder exists."""
    Settings: ClassVar[type[EnvSettings]] = EnvSettings
    """The game's settings in a spec."""

    def __init__(self, settings: EnvSettings, seed: int) -> None:
        self.settings, self.seed = settings, seed

    @property
    def notice(self) -> str:
        """The game's name."""
        return f"the game {self.env_id}"

    @property
    def reports(self) -> Mapping[str, Report]:
        """Its only one."""
        return {self.env_id: self.report}

    def heldout_plan(self, index: int) -> Slot:
        """Nothing is held out. Raises ValueError."""
        raise ValueError(f"the game {self.env_id} holds no task back: set evaluation.every to 0")

    async def exam(self, ask: Complete) -> Exam:
        """Raises ValueError: there is none, as the empty `report.exam` says."""
        raise AssertionError(f"the game {self.env_id} has no exam")

    def step(self, task: Task, actions: Sequence[str]) -> Turn | Done:
        """One action ends the episode."""
        return Done(truncated=False)

    @staticmethod
    def check_label(episode: Episode, label: Label) -> None:
        """Raises ValueError when episode and label are of different tasks."""
        if episode.task_id != label.task_id:
            raise ValueError(f"episode of task {episode.task_id} cannot be scored with the label of {label.task_id}")
