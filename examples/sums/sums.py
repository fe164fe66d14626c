"""A game from outside MedSeRL: is this sum true? docs/your-environment.md says how to check it and train on it."""

import random

from common.records import Label, LabelledTask, Limits, Message, Provenance, Reward, Task
from common.sections import EnvSettings
from envs.contract.env import Slot, Turn
from envs.contract.game import Game
from envs.contract.report import Report

HELD_OUT = 1_000_000  # held-out slots, whose sums are of other draws


class Settings(EnvSettings):
    """None of its own."""

    has_heldout = property(lambda self: True)


class SumsReport(Report):
    """That of any game, with the line of chance."""

    heldout_chance = 0.5  # half of the sums are true


class Sums(Game):
    """Slots 2k and 2k+1 are twins: the same sum with its true result, then with a false one."""

    env_id, Settings, report = "sums", Settings, SumsReport()

    def plan(self, index):
        pair, kind = index // 2, "false" if index % 2 else "true"
        seed = random.Random(f"{self.seed}:{pair}").getrandbits(32)
        return Slot(index=index, source=f"sum-{pair}", kind=kind, seed=seed)

    def heldout_plan(self, index):
        return self.plan(index - HELD_OUT)

    async def propose(self, slot, rng, complete, verify=None):
        draw = random.Random(slot.seed)
        a, b, error = draw.randint(10, 99), draw.randint(10, 99), draw.choice((-2, -1, 1, 2))
        shown = a + b + (error if slot.kind == "false" else 0)
        task_id = f"sums-{self.seed}-{slot.index}"
        origin = Provenance(source=slot.source, vignette=slot.source, kind=slot.kind)
        context, limits = {"sum": f"{a} + {b} = {shown}"}, Limits()
        task = Task(env="sums", task_id=task_id, split="train", context=context, limits=limits, provenance=origin)
        return LabelledTask(task=task, label=Label(task_id=task_id, truth={"answer": slot.kind}))

    def open(self, task):
        return Turn(messages=(Message(role="user", content=f"Judge: {task.context['sum']}"),))

    def score(self, episode, label, version=None):
        self.check_label(episode, label)
        right = not episode.truncated and episode.actions[-1].strip() == label.truth["answer"]
        total, reason = (1.0, label.truth["answer"]) if right else (-1.0, "missed")
        return Reward(components={"outcome": total}, total=total, reason=reason, solved=right)

    def demonstration(self, labelled, rng):
        return labelled.label.truth["answer"]
