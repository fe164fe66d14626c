"""What most games do alike. One that derives from Game has its own plan, propose, open, score and demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from common.records import Episode, Label, Task
from common.sections import EnvSettings
from envs.contract.env import Done, Turn


class Game:
    """Defaults of `envs.contract.env.Environment`: one turn, no settings of its own."""

    env_id: str
    Settings: ClassVar[type[EnvSettings]] = EnvSettings
    """What a spec may say about the game."""

    def __init__(self, settings: EnvSettings, seed: int) -> None:
        self.settings, self.seed = settings, seed

    @property
    def notice(self) -> str:
        """The game's name."""
        return f"the game {self.env_id}"

    def step(self, task: Task, actions: Sequence[str]) -> Turn | Done:
        """One action ends the episode."""
        return Done(truncated=False)

    @staticmethod
    def check_label(episode: Episode, label: Label) -> None:
        """Raises ValueError when episode and label are of different tasks."""
        if episode.task_id != label.task_id:
            raise ValueError(f"episode of task {episode.task_id} cannot be scored with the label of {label.task_id}")
