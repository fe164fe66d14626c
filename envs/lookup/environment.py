"""The credit test: a game of two turns in which only a good first turn makes the second one possible.

    Look up id="c", then answer with its value.     look(id="c")
    value=7                                         answer(value=7)

The value is nowhere in the prompt, and there is one look. A learner that gives the first turn no credit for the reward
at the end of the second does not learn which record to ask for. Demonstrations show the calls and hint at the choice:
a third of them look at the record that is asked for, the others at one drawn at random, so that a warmed model solves
about half of the tasks. Nothing is claimed of it beyond that.
"""

from __future__ import annotations

import random
from typing import Any

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
    Reward,
    Task,
)
from envs.contract.calls import Call, render
from envs.contract.env import Act, Complete, Done, Slot, State, Turn
from envs.contract.tool_game import ToolGame
from envs.contract.tool_schema import one_of, tool
from envs.lookup.report import LookupReport
from envs.lookup.spec import LookupSettings

ENV_ID = "lookup"
IDS = ("a", "b", "c", "d")
VALUES = 10
SHOWN_SHARE = 1 / 3
"""Share of demonstrations that look at the record that is asked for; the others may do so by chance."""

TOOLS = (
    tool("look", "shows the value of a record", id=one_of(tuple(IDS))),
    tool("answer", "ends the task", value={"type": "integer", "minimum": 0, "maximum": VALUES - 1}),
)


class Records(Record):
    """The values of the task's records, by id."""

    values: dict[str, int]


class Lookup(ToolGame):
    """See the module."""

    env_id = ENV_ID
    Settings = LookupSettings
    report = LookupReport()
    tools = TOOLS

    def plan(self, index: int) -> Slot:
        """Any number of training tasks."""
        return self._slot(index, "train")

    def heldout_plan(self, index: int) -> Slot:
        """Tasks of other draws."""
        return self._slot(index, "heldout")

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """The slot's task, by rule."""
        draw = random.Random(slot.seed)
        wanted, values = draw.choice(IDS), {name: draw.randrange(VALUES) for name in IDS}
        task = Task(
            env=ENV_ID,
            task_id=f"{ENV_ID}-{self.seed}-{slot.source}-{slot.index}",
            split=slot.source,
            context={"wanted": wanted, "records": values},
            limits=Limits(max_turns=2),
            provenance=Provenance(source=slot.source, vignette=f"{slot.source}-{slot.index}", kind=ENV_ID),
        )
        return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={"value": values[wanted]}))

    def opening(self, task: Task) -> tuple[State, tuple[Message, ...]]:
        """The tools, and which record is asked for."""
        request = f'{self.manual}\nLook up id="{task.context["wanted"]}", then answer with its value.'
        return Records(values=task.context["records"]), (Message(role="user", content=request),)

    def use(self, own: State, call: Call) -> tuple[State, str | Done]:
        """`look` shows a value, `answer` ends the episode."""
        if call.name == "answer":
            return own, Done()
        return own, f"value={own.values[call.arguments['id']]}"

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        """1 for the right value, 0 for another one, -1 for an episode that a limit or unreadable replies ended."""
        self.check_label(episode, label)
        if episode.reason != EndReason.SUBMITTED:
            return _reward(-1.0, str(episode.reason))
        last = self.read(episode.actions[-1])
        right = isinstance(last, Call) and last.name == "answer" and last.arguments["value"] == label.truth["value"]
        return _reward(1.0, "right") if right else _reward(0.0, "wrong")

    def kind(self, labelled: LabelledTask) -> str:
        """The value."""
        return str(labelled.label.truth["value"])

    def oracle(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """Looks at the record that is asked for."""
        return self._looking_at(labelled.task.context["wanted"])

    def demonstrator(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """Looks at the right record in `SHOWN_SHARE` of the draws, else at any; answers with the value that it saw."""
        shown = rng.random() < SHOWN_SHARE
        return self._looking_at(labelled.task.context["wanted"] if shown else rng.choice(IDS))

    def _looking_at(self, name: str) -> Act:
        def act(turn: Turn) -> str:
            (message,) = turn.messages
            if message.role != "tool":
                return self._call("look", id=name)
            return self._call("answer", value=int(message.content.removeprefix("value=")))

        return act

    def _call(self, name: str, **arguments: Any) -> str:
        return render(Call(name=name, arguments=arguments), self.settings.call_syntax)

    def _slot(self, index: int, split: str) -> Slot:
        seed = random.Random(f"{self.seed}:{split}:{index}").getrandbits(32)
        return Slot(index=index, source=split, kind=ENV_ID, seed=seed)


def _reward(total: float, reason: str) -> Reward:
    return Reward(components={"outcome": total}, total=total, reason=reason, solved=total > 0)
