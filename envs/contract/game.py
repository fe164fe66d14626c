"""What most games do alike. One that derives from Game has its own plan, propose and score; a game of one turn also
`open` and `demonstration`, one of several turns `begin`, `advance` and `oracle`."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from common.records import Episode, Label, LabelledTask, Reply, Reward, Task
from common.sections import EnvSettings
from envs.contract.env import Act, Ask, Complete, Done, Exam, Slot, State, Turn
from envs.contract.replay import play
from envs.contract.report import Report


class Game:
    """Defaults of `envs.contract.env.Environment`: one turn (`open` and `demonstration`), nothing held
    out, no exam, the report of any game."""

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

    def open(self, task: Task) -> Turn:
        """The only turn of a game of one turn."""
        raise NotImplementedError(f"{type(self).__name__} needs open(task), or begin and advance for several turns")

    def begin(self, task: Task) -> tuple[State, Turn]:
        """Nothing to remember."""
        return None, self.open(task)

    def advance(self, state: State, action: str, replies: tuple[Reply, ...] = ()) -> tuple[State, Turn | Ask | Done]:
        """One action ends the episode."""
        return state, Done()

    def demonstration(self, labelled: LabelledTask, rng: random.Random) -> str:
        """The right reply in a game of one turn."""
        raise NotImplementedError(f"{type(self).__name__} needs demonstration(labelled, rng), or oracle")

    def oracle(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """Gives the demonstration."""
        reply = self.demonstration(labelled, rng)
        return lambda _: reply

    def demonstrator(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """The oracle."""
        return self.oracle(labelled, rng)

    def kind(self, labelled: LabelledTask) -> str:
        """The case of the reward table that the oracle reaches."""
        episode = play(self, labelled.task, self.oracle(labelled, random.Random(0)))
        return self.score(episode, labelled.label).reason

    def unread(self, episode: Episode) -> tuple[int, ...] | None:
        """It reads any reply."""
        return None

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        """Every game has its own."""
        raise NotImplementedError(f"{type(self).__name__} needs score(episode, label, version)")

    @staticmethod
    def check_label(episode: Episode, label: Label) -> None:
        """Raises ValueError when episode and label are of different tasks."""
        if episode.task_id != label.task_id:
            raise ValueError(f"episode of task {episode.task_id} cannot be scored with the label of {label.task_id}")
