"""Where the sentences of a MEDEC cell begin: `Sentences` has one `<id> <text>` line each, but a sentence may go on in
further lines, and one of those may begin with a number too. The note's `Text` then says which numbers are its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_NUMBERED = re.compile(r"(\d{1,9})(?:[ \t]+(.*))?$", re.DOTALL)


class Unsettled(ValueError):
    """Sentences could begin at several places, and the text does not say at which."""


def sentences_of(lines: Sequence[str], text: str) -> list[str]:
    """The sentences, a line feed between the lines of one; empty where the first line has not the id 0.

    Raises Unsettled.
    """
    starts = _by_text(lines, _bare(text))
    if starts is None:
        starts = _by_ids(lines)
    sentences = list[str]()
    for line, begins in zip(lines, starts, strict=True):
        if begins:
            sentences.append(_content(line))
        elif sentences:
            sentences[-1] += "\n" + line
    return sentences


def _by_text(lines: Sequence[str], text: str) -> tuple[bool, ...] | None:
    """Which lines begin a sentence, so that the sentences give the text; None where nothing does.

    Blanks are ignored: in the real files they differ.
    """
    ways: dict[tuple[int, int], tuple[bool, ...]] = {(0, 0): ()}  # (characters of the text, sentences) -> starts
    doubtful = set[tuple[int, int]]()
    for line in lines:
        reached: dict[tuple[int, int], tuple[bool, ...]] = {}
        unsure = set[tuple[int, int]]()
        for (at, count), starts in ways.items():
            for begins in (True, False):
                if (_id(line) != count) if begins else not count:
                    continue
                content = _bare(_content(line) if begins else line)
                if text.startswith(content, at):
                    state = (at + len(content), count + begins)
                    if state in reached or (at, count) in doubtful:
                        unsure.add(state)
                    reached[state] = (*starts, begins)
        ways, doubtful = reached, unsure
    found = {state: starts for state, starts in ways.items() if state[0] == len(text)}
    if len(found) > 1 or found.keys() & doubtful:
        raise Unsettled
    return next(iter(found.values()), None)


def _by_ids(lines: Sequence[str]) -> tuple[bool, ...]:
    """Which lines begin a sentence, by their ids alone: each has the next one."""
    ways = Counter[int]()
    starts, count = list[bool](), 0
    for number, line in enumerate(lines):
        found = _id(line)
        if found is not None and (ways[found - 1] if found else number == 0):
            ways[found] += ways[found - 1] if found else 1
        starts.append(found == count)
        count += starts[-1]
    if ways[max(ways, default=0)] > 1:
        raise Unsettled
    return tuple(starts)


def _id(line: str) -> int | None:
    match = _NUMBERED.match(line)
    return int(match[1]) if match else None


def _content(line: str) -> str:
    match = _NUMBERED.match(line)
    return (match[2] or "") if match else line


def _bare(text: str) -> str:
    return "".join(text.split())
