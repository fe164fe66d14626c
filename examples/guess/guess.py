"""A game of several turns from outside MedSeRL: find a hidden number. docs/your-environment.md explains it."""

import random

from common.records import EndReason, Label, LabelledTask, Limits, Message, Provenance, Reward, Task
from envs.contract.env import Done, Slot, Turn
from envs.contract.game import Game

NUMBERS = range(1, 8)  # seven numbers: always found in three guesses


class Guess(Game):
    """Each guess is answered with higher or lower. Slots 2k and 2k+1 are twins: a number and its mirror image."""

    env_id = "guess"

    def plan(self, index):
        draw = random.Random(f"{self.seed}:{index // 2}")
        number = draw.choice(NUMBERS)
        return Slot(index=index, source=f"pair-{index // 2}", kind="mirror" if index % 2 else "number", seed=number)

    async def propose(self, slot, rng, complete, verify=None):
        number = 8 - slot.seed if slot.kind == "mirror" else slot.seed
        task_id = f"guess-{self.seed}-{slot.index}"
        origin = Provenance(source=slot.source, vignette=slot.source, kind=slot.kind)
        context, limits = {"hidden": number}, Limits(max_turns=3)
        task = Task(env="guess", task_id=task_id, split="train", context=context, limits=limits, provenance=origin)
        return LabelledTask(task=task, label=Label(task_id=task_id, truth={"number": number}))

    def begin(self, task):
        question = Message(role="user", content="Guess a number from one to seven, in digits.")
        return task.context["hidden"], Turn(messages=(question,))

    def advance(self, hidden, action, replies=()):
        guess = int(action) if action.strip() in map(str, NUMBERS) else None
        if guess == hidden:
            return hidden, Done()
        answer = "not a number" if guess is None else "higher" if guess < hidden else "lower"
        return hidden, Turn(messages=(Message(role="user", content=answer),))

    def score(self, episode, label, version=None):
        self.check_label(episode, label)
        found = episode.reason == EndReason.SUBMITTED and episode.actions[-1].strip() == str(label.truth["number"])
        total, reason = (1.0, f"found {label.truth['number']}") if found else (-1.0, "missed")
        return Reward(components={"outcome": total}, total=total, reason=reason, solved=found)

    def oracle(self, labelled, rng):
        low, high, said = 1, 7, 4

        def act(turn):
            nonlocal low, high, said
            answer = turn.messages[-1].content
            low, high = said + 1 if answer == "higher" else low, said - 1 if answer == "lower" else high
            said = (low + high) // 2
            return str(said)

        return act
