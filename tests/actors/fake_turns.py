"""A game of several turns for tests: the policy must repeat a word, as often as its task says."""

from __future__ import annotations

import random

from common.records import EndReason, Episode, Label, LabelledTask, Limits, Message, Provenance, Reply, Reward, Task
from envs.contract.env import Act, Ask, Complete, Done, Record, Slot, State, Turn
from envs.contract.game import Game
from simulator.rollouts import rewarded


class Said(Record):
    """How often the policy has spoken, and what the game wants."""

    turns: int
    wanted: int


def turn_task(index: int = 0, wanted: int = 3, max_turns: int = 8) -> LabelledTask:
    task = Task(
        env="turns",
        task_id=f"task-{index}",
        split="train",
        context={"wanted": wanted},
        limits=Limits(max_turns=max_turns, max_tokens=64),
        provenance=Provenance(source="s", vignette=f"v{index}", kind="any"),
    )
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={}))


class Turns(Game):
    """Ends after `wanted` actions. The action "ask" makes it ask a Scribe; "break" makes it raise."""

    env_id = "turns"

    def __init__(self) -> None:
        """Without settings."""

    def plan(self, index: int) -> Slot:
        return Slot(index=index, source="s", kind="any", seed=index)

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask:
        return turn_task(slot.index)

    def begin(self, task: Task) -> tuple[State, Turn]:
        return Said(turns=0, wanted=task.context["wanted"]), _turn("begin")

    def advance(self, state: State, action: str, replies: tuple[Reply, ...] = ()) -> tuple[State, Turn | Ask | Done]:
        if action == "break":
            raise KeyError("broken game")
        if action == "ask" and not replies:
            return state, Ask(role="scribe", messages=_turn("say").messages, max_tokens=8, temperature=0.7)
        after = Said(turns=state.turns + 1, wanted=state.wanted)
        if after.turns == after.wanted:
            return after, Done(reason=EndReason.SUBMITTED)
        return after, _turn(f"{after.turns} {action} {[reply.text for reply in replies]}")

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        self.check_label(episode, label)
        return rewarded(float(len(episode.actions)), str(episode.reason))

    def oracle(self, labelled: LabelledTask, rng: random.Random) -> Act:
        return lambda turn: "word"


def _turn(text: str) -> Turn:
    return Turn(messages=(Message(role="user", content=text),))
