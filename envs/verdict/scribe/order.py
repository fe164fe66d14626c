"""What comes first, what is compared with what, what causes what, and where a thing goes, in a unified sentence."""

from __future__ import annotations

import re

from envs.verdict.scribe.meaning import SPANS_OF_TIME, concepts

_LATER = re.compile(r"\b(?:after|following|since|once|as soon as)\b")
_EARLIER = re.compile(r"\b(?:before|until)\b")
_LED = re.compile(
    r"\b(?:(?:was|were|is) followed by|followed by|replaced (?:by|with)|preceded|precedes|(?:and |, )?then|later|"
    r"(?:and |, )?(?:afterwards?|subsequently|thereafter))\b"
)
_CAME_AFTER = re.compile(
    r"(?<!was )(?<!were )(?<!is )\bfollowed\b(?! by)|\b(?:was|were|is) preceded by\b|"
    r"(?<!was )(?<!were )(?<!is )\breplaced\b(?! by)"
)
_BECAUSE = re.compile(r"\b(?:because of|because|due to|owing to|caused by|as a result of)\b")
_POINT = re.compile(r"(?:minute|hour|day|week|month|year)s? $")  # `two days later` is a point in time
_THAN = re.compile(r"\bthan\b")
_TO = re.compile(r"\b(from|to|into|toward)\b")
_MOVES = re.compile(r"\b(?:from\b.*\bto\b|radiat|spread|travel|mov|extend|shift|ascend|switch|chang|convert)")
_SUBJECT = re.compile(r"(?<=[a-z]) (?=(?:he|she|they|the|his|her) )")


def order(text: str) -> list[tuple[str, frozenset[str], frozenset[str]]]:
    """What comes first, is compared, or is a cause: (relation, concepts of one side, concepts of the other)."""
    found = list[tuple[str, frozenset[str], frozenset[str]]]()
    for name, cue, is_turned in (
        ("then", _EARLIER, False),
        ("then", _LATER, True),
        ("then", _LED, False),
        ("then", _CAME_AFTER, True),
        ("than", _THAN, False),
        ("because", _BECAUSE, True),
    ):
        for match in cue.finditer(text):
            if match[0] == "later" and _POINT.search(text, 0, match.start()):
                continue
            one, two = _split(_opened(text, match), match)
            first, second = (two, one) if is_turned else (one, two)
            found.append((name, _untimed(first), _untimed(second)))
    return found


def movements(text: str) -> frozenset[tuple[str, str]]:
    """The first concepts after `from` and `to`, where something moves, spreads or changes."""
    if not _MOVES.search(text):
        return frozenset()
    return frozenset(
        ("from" if match[1] == "from" else "to", place)
        for match in _TO.finditer(text)
        for place in concepts(text[match.end() :])[:1]
    )


def _untimed(text: str) -> frozenset[str]:
    """The concepts without spans of time: `two days before` is a point."""
    return frozenset(concepts(text)) - SPANS_OF_TIME


def _split(text: str, match: re.Match[str]) -> tuple[str, str]:
    """Both sides of a cue. Where it opens the sentence, its clause ends at the comma; where it ends one, at `and`."""
    before, after = text[: match.start()], text[match.end() :]
    if not _untimed(after) and re.search(r",| and ", before):
        parts = re.split(r",| and ", before)
        return " ".join(parts[:-1]), parts[-1]
    if _untimed(before) or "," not in after:
        return before, after
    clause, _, rest = after.partition(",")
    return rest, clause


def _opened(text: str, match: re.Match[str]) -> str:
    """A sentence that opens with a clause, with the comma that it may lack before its subject."""
    if match.start() > 1 or "," in text:
        return text
    subject = _SUBJECT.search(text, match.end() + 2)
    return text if subject is None else f"{text[: subject.start()]},{text[subject.start() :]}"
