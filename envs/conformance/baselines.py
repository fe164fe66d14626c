"""Policies and models that ignore their input, against which an environment's score and proposer are tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat

from common.records import Message
from envs.contract.env import Act, Complete, Written
from envs.contract.probing import Policy


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


def policies(right: Sequence[tuple[str, Sequence[str]]]) -> Iterator[tuple[str, Policy]]:
    """Silence, the prompt back, every answer at once, and one transcript for all.

    `right` holds the oracle's actions in some tasks, each with the class of its task: every one is replayed in all
    others, its last action repeated.
    """
    yield "null", lambda: lambda _: ""
    yield "echo", lambda: lambda turn: turn.messages[-1].content
    yield "spam", _replaying(["\n".join(dict.fromkeys(actions[-1] for _, actions in right))])
    yield from ((f"constant {kind}", _replaying(actions)) for kind, actions in right)


def _replaying(actions: Sequence[str]) -> Policy:
    def begin() -> Act:
        said = chain(actions, repeat(actions[-1]))
        return lambda _: next(said)

    return begin
