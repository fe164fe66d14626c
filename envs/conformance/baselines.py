"""Policies and models that ignore their input, against which an environment's score and proposer are tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from common.records import Episode, Message, Task
from envs.contract.env import Complete, Environment, Turn, Written

Act = Callable[[Turn], str]


def play(env: Environment, task: Task, act: Act) -> Episode:
    """One episode of `act` on `task`; truncated when its turns ran out or the environment says so."""
    turn, actions = env.open(task), list[str]()
    while len(actions) < task.limits.max_turns:
        actions.append(act(turn))
        after = env.step(task, actions)
        if not isinstance(after, Turn):
            return Episode(task_id=task.task_id, actions=tuple(actions), truncated=after.truncated)
        turn = after
    return Episode(task_id=task.task_id, actions=tuple(actions), truncated=True)


def _model(text: Callable[[str], str], truncated: bool = False) -> Complete:
    async def complete(messages: tuple[Message, ...], max_tokens: int) -> Written:
        return Written(text=text(messages[-1].content), truncated=truncated, policy_version=3)

    return complete


SILENT = _model(lambda _: "")
NONSENSE = (
    _model(lambda prompt: prompt),
    _model(lambda _: "Sure! <verdict>\n\n\x00 50 mg of ｗarfarin\n" * 9),
    _model(lambda prompt: prompt.split("\n")[-1][:-4], truncated=True),
)


def policies(right: Sequence[tuple[str, str]]) -> Iterator[tuple[str, Act]]:
    """Silence, the prompt repeated, every answer at once, and constant answers.

    `right` holds right replies to some tasks, each with the class of its task; these are the constant answers.
    """
    yield "null", lambda _: ""
    yield "echo", lambda turn: turn.messages[-1].content
    yield "spam", _always("\n".join(dict.fromkeys(reply for _, reply in right)))
    yield from ((f"constant {kind}", _always(reply)) for kind, reply in right)


def _always(reply: str) -> Act:
    return lambda _: reply
