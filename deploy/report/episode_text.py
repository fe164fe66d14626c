"""One episode for a terminal: what the policy was shown and what it replied, turn by turn, its end and its score.

    user      Look up id="c", then answer with its value.
    Turn 1    look(id="c")
    tool      value=7
    Turn 2    answer(value=7)

Long texts are cut, with how much is left out. Whatever a model wrote is printed as text: no escape codes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from actors.episode import Played
from common.records import Label, Message, Reward
from envs.contract.page_view import words
from envs.contract.report import Span

INDENT = 10  # columns
MOST_LINES, MOST_CHARACTERS = 12, 1000
_SOFT, _BAD = "dim", "red"


class Printer:
    """Makes the spans; with `full` no text is cut."""

    def __init__(self, full: bool) -> None:
        self._full = full

    def episode(self, played: Played, shown: list[tuple[Message, ...]], unread: tuple[int, ...] | None) -> list[Span]:
        """`shown`: the messages before each action; `unread`: the actions that the game could not read."""
        spans = list[Span]()
        for at, (messages, action) in enumerate(zip(shown, played.episode.actions, strict=True)):
            for message in messages:
                spans += self._block(words(message.role), message.content, _SOFT)
            bad = unread is not None and at in unread
            spans += self._block(f"Turn {at + 1}", action, _BAD if bad else "")
            if bad:
                spans += self._block("", "(no readable call)", _BAD)
        return spans

    def end(self, played: Played, unread: tuple[int, ...] | None) -> list[Span]:
        """How it ended, in one line."""
        turns, tokens = len(played.steps), sum(len(step.completion.token_ids) for step in played.steps)
        calls = "" if unread is None else f"{_count(turns - len(unread), 'call')}, "
        reason = words(played.episode.reason)
        return [("\nEnded     ", "bold"), (f"{reason}: {_count(turns, 'turn')}, {calls}{tokens} tokens sampled\n", "")]

    def score(self, reward: Reward, label: Label) -> list[Span]:
        """The reward and the truth behind it."""
        parts = ", ".join(f"{words(name)} {value:+.2f}" for name, value in reward.components.items())
        solved = "solved" if reward.solved else "not solved"
        spans: list[Span] = [("Score     ", "bold"), (f"{reward.total:+.2f}", "bold green" if reward.solved else _BAD)]
        spans.append((f"  {solved}: {words(reward.reason)} ({parts})\n", ""))
        return [*spans, *self._block("Label", json.dumps(label.truth, ensure_ascii=False), "")]

    def _block(self, name: str, text: str, style: str) -> Iterator[Span]:
        """A name, and a text beside it; the text's further lines are indented."""
        body, left_out = self._cut(printable(text).strip("\n"))
        yield f"{name:{INDENT}}", "bold"
        yield body.replace("\n", "\n" + " " * INDENT) + "\n", style
        if left_out:
            yield f"{'':{INDENT}}... {left_out} (--full shows all)\n", _SOFT

    def _cut(self, text: str) -> tuple[str, str]:
        lines = text.splitlines() or [""]
        kept = "\n".join(lines[:MOST_LINES])[:MOST_CHARACTERS]
        if self._full or len(kept) == len(text):
            return text, ""
        more = len(lines) - 1 - kept.count("\n")
        return kept, f"{_count(more, 'more line')}, {len(text)} characters in all"


def printable(text: str) -> str:
    """The text with control characters spelt out: a terminal would obey them."""
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
