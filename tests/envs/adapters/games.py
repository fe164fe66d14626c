"""Games for the tests of the doors, and what their oracles do."""

from __future__ import annotations

import random
from typing import Any

from common.records import (
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
from envs.adapters.source import Source, source_of
from envs.contract.env import Act, Ask, Complete, Done, Slot, State, Turn
from envs.contract.game import Game
from envs.contract.replay import play, texts

HERE = "tests.envs.adapters.games"
GUESS = "examples.guess.guess:Guess"
GAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "lookup": ("lookup", {}),
    "lookup in JSON": ("lookup", {"call_syntax": "hermes"}),
    "guess": (GUESS, {}),
    "oversight": ("oversight", {}),
    "clinic": ("clinic", {}),
}
"""Every game of several turns that there is."""


def made(name: str) -> Source:
    game, settings = GAMES[name]
    return source_of(game, 3, **settings)


class Played(Record):
    """An episode as a door shows it: the text before each reply, and the reward at the end."""

    shown: tuple[str, ...]
    reward: float


def oracle_of(source: Source, index: int, split: str = "train") -> tuple[Episode, Played]:
    """What the oracle of a task does, and what it is shown when no door is between them."""
    _, labelled = source.labelled(index, split)
    episode = play(source.env, labelled.task, source.env.oracle(labelled, random.Random(0)))
    _, turn = source.env.begin(labelled.task)
    shown = (turn.messages[0].content, *texts(source.env, labelled.task, episode))
    assert len(turn.messages) == 1
    return episode, Played(shown=shown, reward=source.env.score(episode, labelled.label).total)


class Rumour(Game):
    """Each reply is passed on to a partner, and what the partner says is shown. Tasks at odd slots cannot be made."""

    env_id = "rumour"

    def plan(self, index: int) -> Slot:
        return Slot(index=index, source=f"train-{index}", kind="any", seed=index)

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        if slot.index % 2 or slot.index > 500:
            return Rejection(source=slot.source, reason="odd")
        origin = Provenance(source=slot.source, vignette=slot.source, kind="any")
        task = Task(
            env=self.env_id,
            task_id=f"rumour-{slot.index}",
            split="train",
            context={},
            limits=Limits(max_turns=2),
            provenance=origin,
        )
        return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={"word": "secret"}))

    def begin(self, task: Task) -> tuple[State, Turn]:
        return 0, Turn(messages=(Message(role="user", content="Say something."),))

    def advance(self, state: State, action: str, replies: tuple[Reply, ...] = ()) -> tuple[State, Turn | Ask | Done]:
        if action == "stop":
            return state, Done()
        if not replies:
            return state, Ask(role="partner", messages=(Message(role="user", content=action),), max_tokens=8)
        return state + 1, Turn(messages=(Message(role="user", content=f"They say: {replies[0].text}"),))

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        self.check_label(episode, label)
        return Reward(components={"length": 0.5}, total=0.5, reason=str(episode.reason), solved=False)

    def oracle(self, labelled: LabelledTask, rng: random.Random) -> Act:
        return lambda _: "stop"
