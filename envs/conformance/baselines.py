"""Policies and models that ignore their input, against which an environment's score and proposer are tested."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat

from common.records import Message
from envs.contract.env import Act, Complete, Turn, Written
from envs.contract.probing import Policy

COMMONEST = "commonest transcript"
REPLAYED = 8
"""Of the commonest transcripts, how many are replayed."""
_ID = re.compile(r"\b[A-Z]{1,3}\d+\b")


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


def commonest(right: Sequence[tuple[str, Sequence[str]]]) -> list[Policy]:
    """Policies that replay one of the oracle's commonest transcripts with the ids of the task at hand.

    `right` holds the first text and the oracle's actions of each task: `P12` in an action is the id that stands where
    `P12` stood in that text.
    """
    forms = Counter(tuple(_without_ids(text, action) for action in actions) for text, actions in right)
    return [partial(_filling, form) for form, _ in forms.most_common(REPLAYED)]


def _ids(text: str) -> list[str]:
    return list(dict.fromkeys(_ID.findall(text)))


def _without_ids(text: str, action: str) -> str:
    known = {name: f"\0{place}\0" for place, name in enumerate(_ids(text))}
    return _ID.sub(lambda found: known.get(found[0], found[0]), action)


def _filling(form: Sequence[str]) -> Act:
    known: list[str] = []
    said = chain(form, repeat(form[-1]))

    def fill(found: re.Match[str]) -> str:
        place = int(found[1])
        return known[place] if place < len(known) else ""

    def act(turn: Turn) -> str:
        known[:] = known or _ids("\n".join(message.content for message in turn.messages))
        return re.sub(r"\0(\d+)\0", fill, next(said))

    return act
