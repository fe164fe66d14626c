"""A game of one line a turn: the proposer asks the model once, the reward is the reply's length."""

from __future__ import annotations

import random

from common.record import Ids
from common.records import (
    Completion,
    Episode,
    Label,
    LabelledTask,
    Limits,
    Message,
    Provenance,
    Rejection,
    Reward,
    Sampled,
    Task,
)
from envs.contract.env import Complete, Slot, Turn
from envs.contract.game import Game
from simulator.rollouts import rewarded


def labelled_task(index: int, max_tokens: int = 512) -> LabelledTask:
    task = Task(
        env="fake",
        task_id=f"task-{index}",
        split="train",
        context={"note": f"note {index}"},
        limits=Limits(max_tokens=max_tokens),
        provenance=Provenance(source="s", vignette=f"v{index}", kind="augmented_safe"),
    )
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={"flag": False}))


class FakeEnv(Game):
    env_id = "fake"

    def __init__(self) -> None:
        """Without settings."""

    def plan(self, index: int) -> Slot:
        return Slot(index=index, source="s", kind="augmented_safe", seed=index)

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        written = await complete((Message(role="user", content=f"reword {slot.index}"),), 16)
        if written.truncated:
            return Rejection(source=slot.source, reason="truncated")
        return labelled_task(slot.index)

    def open(self, task: Task) -> Turn:
        return Turn(messages=(Message(role="user", content=task.context["note"]),))

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        assert episode.task_id == label.task_id
        total = -1.5 if episode.truncated else float(len(episode.actions[0]))
        return rewarded(total, "length", outcome=total)

    def demonstration(self, labelled: LabelledTask, rng: random.Random) -> str:
        return "reply"


def completion(text: str, versions: tuple[int, ...] = (3, 4), finish: str = "stop") -> Completion:
    ids = tuple(range(len(versions)))
    return Completion(
        text=text, token_ids=ids, logps=(-1.0,) * len(ids), versions=versions, finish_reason=finish, engine="e"
    )


class FakePool:
    """Answers from a list, in order; an exception in it is raised."""

    def __init__(self, *answers: tuple[Completion, ...] | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, tuple[Message, ...], int, int, float]] = []

    async def generate(
        self, role: str, messages: tuple[Message, ...], n: int, max_tokens: int, temperature: float, likely: int = 0
    ) -> Sampled:
        self.asked.append((role, messages, n, max_tokens, temperature))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Sampled(prompt_ids=(7, 8), completions=answer)

    async def proceed(
        self, role: str, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int, temperature: float
    ) -> Sampled:
        sampled = await self.generate(role, messages, 1, max_tokens, temperature)
        return Sampled(prompt_ids=(*prefix, 9), completions=sampled.completions)
