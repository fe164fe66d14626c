"""A game that keeps the contract, and games that each break one rule of it."""

from __future__ import annotations

import random

import msgspec

from common.records import EndReason, Episode, Label, LabelledTask, Limits, Message, Provenance, Rejection, Reward, Task
from envs.contract.env import Complete, Slot, Turn
from envs.contract.game import Game

ALPHABET = "abcdefghijklmnop"


class Riddle(Game):
    """Two made-up words a task; which of the two orders is `right` is a secret of the vignette."""

    env_id = "riddle"

    def __init__(self) -> None:
        """Without settings."""

    def plan(self, index: int) -> Slot:
        twin = "right" if index % 2 else "wrong"
        return Slot(index=index, source=f"v{index // 2}", kind=twin, seed=index)

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        secret = random.Random(slot.source)
        words = ["".join(secret.choices(ALPHABET, k=6)) for _ in "ab"]
        if (slot.kind == "right") == (secret.random() < 0.5):
            words.reverse()
        provenance = Provenance(source=slot.source, vignette=slot.source, kind=slot.kind)
        task_id = f"{slot.source}-{'-'.join(words)}"
        task = Task(
            env="riddle",
            task_id=task_id,
            split="train",
            context={"words": words},
            limits=Limits(),
            provenance=provenance,
        )
        return LabelledTask(task=task, label=Label(task_id=task_id, truth={"answer": slot.kind}))

    def open(self, task: Task) -> Turn:
        return Turn(messages=(Message(role="user", content="Which? " + " ".join(task.context["words"])),))

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        if episode.task_id != label.task_id:
            raise ValueError("of different tasks")
        answer = label.truth["answer"]
        total = -2.0 if episode.truncated else 1.0 if episode.actions == (f"I say {answer}",) else -1.0
        return Reward(
            components={"outcome": total}, total=total, reason=answer if total > 0 else "no", solved=total > 0
        )

    def demonstration(self, labelled: LabelledTask, rng: random.Random) -> str:
        return f"I say {labelled.label.truth['answer']}"


class LeaksInTheWords(Riddle):
    def open(self, task: Task) -> Turn:
        hint = " whose dosage" if task.context["words"] != sorted(task.context["words"]) else ""
        return Turn(messages=(Message(role="user", content=" ".join(task.context["words"]) + hint),))

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        made = await super().propose(slot, rng, complete, verify)
        assert isinstance(made, LabelledTask)
        words = sorted(made.task.context["words"], reverse=slot.kind == "wrong")
        return msgspec.structs.replace(made, task=msgspec.structs.replace(made.task, context={"words": words}))


class LeaksByProvenance(Riddle):
    def open(self, task: Task) -> Turn:
        return Turn(messages=(Message(role="user", content=f"{task.provenance.kind[:1]} {task.context['words']}"),))


class LeaksByField(Riddle):
    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        made = await super().propose(slot, rng, complete, verify)
        assert isinstance(made, LabelledTask)
        context = {**made.task.context, "meta": [{"answer": "?"}]}
        return msgspec.structs.replace(made, task=msgspec.structs.replace(made.task, context=context))


class ForgetsItsSeed(Riddle):
    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        made = await super().propose(slot, rng, complete, verify)
        assert isinstance(made, LabelledTask)
        context = {**made.task.context, "noise": random.SystemRandom().random()}
        return msgspec.structs.replace(made, task=msgspec.structs.replace(made.task, context=context))


class NeverMakesOneKind(Riddle):
    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        if slot.kind == "right":
            return Rejection(source=slot.source, reason="no_edit")
        return await super().propose(slot, rng, complete, verify)


class PaysForSpam(Riddle):
    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        reward = super().score(episode, label)
        found = label.truth["answer"] in episode.actions[0] and not episode.truncated
        return (
            msgspec.structs.replace(reward, components={"outcome": 1.0}, total=1.0, reason="hit") if found else reward
        )


class HasAWeakOracle(Riddle):
    def demonstration(self, labelled: LabelledTask, rng: random.Random) -> str:
        return "I say right"


class PaysForTruncatedReplies(Riddle):
    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        return super().score(msgspec.structs.replace(episode, reason=EndReason.SUBMITTED), label)


class ScoresAnyLabel(Riddle):
    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        return super().score(msgspec.structs.replace(episode, task_id=label.task_id), label)


class WearsItsLabelOut(Riddle):
    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        label.truth["scored"] = label.truth.get("scored", 0) + 1
        return super().score(episode, label)


class DrawsItsPlan(Riddle):
    def plan(self, index: int) -> Slot:
        return msgspec.structs.replace(super().plan(index), seed=random.SystemRandom().randrange(10**9))


class TrustsTheModel(Riddle):
    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        made = await super().propose(slot, rng, complete, verify)
        written = await complete((Message(role="user", content="Reword this."),), 20)
        assert isinstance(made, LabelledTask)
        answer = {"answer": f"{made.label.truth['answer']}{written.text}"}
        return msgspec.structs.replace(made, label=msgspec.structs.replace(made.label, truth=answer))

    def demonstration(self, labelled: LabelledTask, rng: random.Random) -> str:
        return f"I say {labelled.label.truth['answer'][:5]}"
