"""The game that the simulator plays: its tasks are empty, since only their path through the run matters. Its episodes
have 1 to 40 turns. A real run can play it too: `envs: [{class: simulator.fake_game:FakeGame, goes_on: 0.9}]`."""

from __future__ import annotations

import random
import zlib
from typing import ClassVar

from pydantic import Field

from common.records import (
    EndReason,
    Episode,
    Label,
    LabelledTask,
    Limits,
    Message,
    Provenance,
    Record,
    Rejection,
    Reply,
    Reward,
    Task,
)
from common.sections import EnvSettings
from envs.contract.env import Act, Ask, Complete, Done, Slot, State, Turn
from envs.contract.game import Game

KINDS = ("first twin", "second twin")
MAX_TURNS = 40


class FakeSettings(EnvSettings):
    """Chances, by default those of a game of one turn."""

    id: str = "simulated"
    refused: float = Field(0.0, ge=0, le=1)
    """That a proposal is refused."""
    asks: float = Field(0.0, ge=0, le=1)
    """That a proposal asks the Scribe's model."""
    goes_on: float = Field(0.0, ge=0, le=1)
    """That an episode goes on after a turn: turns are distributed geometrically, and cut at MAX_TURNS."""
    strands: float = Field(0.0, ge=0, le=1)
    """That a later turn asks a partner, which no pool serves."""


class Played(Record):
    """Where an episode is."""

    task_id: str
    turns: int


class FakeGame(Game):
    """A plan of twins. What follows a reply is drawn from the reply, so that the game is pure."""

    env_id = "simulated"
    Settings: ClassVar[type[EnvSettings]] = FakeSettings
    settings: FakeSettings

    def plan(self, index: int) -> Slot:
        """Slot `index`; 2k and 2k + 1 are twins."""
        return Slot(index=index, source=f"v{index // 2}", kind=KINDS[0], seed=index)

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """The task of the slot, or a rejection by chance; asks the Scribe's model by chance."""
        if rng.random() < self.settings.asks:
            await complete((Message(role="user", content="reword"),), 64)
        if rng.random() < self.settings.refused:
            return Rejection(source=slot.source, reason="gate")
        return task_of(slot.index)

    def begin(self, task: Task) -> tuple[State, Turn]:
        """The first turn."""
        return Played(task_id=task.task_id, turns=0), _turn(0)

    def advance(self, state: State, action: str, replies: tuple[Reply, ...] = ()) -> tuple[State, Turn | Ask | Done]:
        """Another turn, the end, or a partner that nobody plays, by a chance that is a function of all three."""
        after = Played(task_id=state.task_id, turns=state.turns + 1)
        chance = zlib.crc32(f"{after.task_id} {after.turns} {action}".encode()) / 2**32
        if chance >= self.settings.goes_on:
            return after, Done()
        if chance < self.settings.goes_on * self.settings.strands and not replies:
            return after, Ask(role="partner", messages=(), max_tokens=8)
        return after, _turn(after.turns)

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        """1 when the game ended the episode, 0 when a limit did."""
        solved = episode.reason == EndReason.SUBMITTED
        return Reward(components={}, total=float(solved), reason="simulated", solved=solved)

    def oracle(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """Any word will do."""
        return lambda turn: "word"


def _turn(number: int) -> Turn:
    return Turn(messages=(Message(role="user", content=f"turn {number}"),))


def task_of(index: int) -> LabelledTask:
    """The one task that the plan's `index` makes."""
    task = Task(
        env="simulated",
        task_id=f"task-{index}",
        split="train",
        context={},
        limits=Limits(max_turns=MAX_TURNS),
        provenance=Provenance(source="simulated", vignette=f"v{index // 2}", kind=KINDS[index % 2]),
    )
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={}))
