"""The game that the simulator plays: its tasks are empty, since only their path through the run matters."""

from __future__ import annotations

import random

from common.records import Episode, Label, LabelledTask, Limits, Message, Provenance, Rejection, Reward, Task
from envs.contract.env import Complete, Slot, Turn
from envs.contract.game import Game

KINDS = ("first twin", "second twin")


class FakeGame(Game):
    """A plan of twins. Some proposals ask the Scribe's model; some are refused."""

    env_id = "simulated"

    def __init__(self, refused: float, asks: float) -> None:
        self._refused, self._asks = refused, asks

    def plan(self, index: int) -> Slot:
        """Slot `index`; 2k and 2k + 1 are twins."""
        return Slot(index=index, source=f"v{index // 2}", kind=KINDS[0], seed=index)

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """The task of the slot, or a rejection by chance; asks the Scribe's model by chance."""
        if rng.random() < self._asks:
            await complete((Message(role="user", content="reword"),), 64)
        if rng.random() < self._refused:
            return Rejection(source=slot.source, reason="gate")
        return task_of(slot.index)

    def open(self, task: Task) -> Turn:
        """An empty chat."""
        return Turn(messages=())

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        """Always 0."""
        return Reward(components={}, total=0.0, reason="simulated", solved=False)


def task_of(index: int) -> LabelledTask:
    """The one task that the plan's `index` makes."""
    provenance = Provenance(source="simulated", vignette=f"v{index // 2}", kind=KINDS[index % 2])
    task = Task(
        env="simulated", task_id=f"task-{index}", split="train", context={}, limits=Limits(), provenance=provenance
    )
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={}))
