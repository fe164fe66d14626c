"""Edits with a log that inverts exactly, and rewordings by rule: formats, abbreviations, brand and generic names.

No rule looks at a label. Every operator only lists the places where it applies, so that what is drawn
depends on the sentences it is given and on the random generator, and on nothing else.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from functools import cache

from common.records import Record
from envs.verdict.knowledge.tables import WORD, alternatives, table, words


class Edit(Record):
    """One replaced span: `old` was at character `start` of sentence number `sentence`; `new` replaces it."""

    operator: str
    sentence: int
    start: int
    old: str
    new: str


Span = tuple[int, str, str]
"""A possible replacement in one sentence: (start, old, new)."""


def apply(sentences: Sequence[str], edit: Edit) -> tuple[str, ...]:
    """The sentences after `edit`. Raises ValueError if `edit.old` is not at that position."""
    return _replace(sentences, edit.sentence, edit.start, edit.old, edit.new)


def invert(sentences: Sequence[str], edits: Sequence[Edit]) -> tuple[str, ...]:
    """The sentences before `edits`, undone from the last to the first. Raises ValueError when the log is of another."""
    for edit in reversed(edits):
        sentences = _replace(sentences, edit.sentence, edit.start, edit.new, edit.old)
    return tuple(sentences)


def placed(sentences: Sequence[str], order: Sequence[int]) -> tuple[str, ...]:
    """The sentences in the order in which they are told: `order` holds their numbers; empty: their own order."""
    return tuple(sentences[number] for number in order or range(len(sentences)))


def unplaced(sentences: Sequence[str], order: Sequence[int]) -> tuple[str, ...]:
    """The sentences in their own order again. Raises ValueError when `order` is not of as many sentences."""
    if order and sorted(order) != list(range(len(sentences))):
        raise ValueError(f"{list(order)} is no order of {len(sentences)} sentences")
    return tuple(sentences[place] for place in sorted(range(len(sentences)), key=lambda at: order[at] if order else at))


def cosmetic(sentence: str, number: int, rng: random.Random) -> Edit | None:
    """One drawn edit of one sentence that is more than a typo, or None: the rule fallback of a failed rewording."""
    places = [(name, span) for name in sorted(OPERATORS) if name != "typo" for span in OPERATORS[name](sentence)]
    if not places:
        return None
    name, (start, old, new) = rng.choice(places)
    return Edit(operator=f"reword:rule:{name}", sentence=number, start=start, old=old, new=new)


def _replace(sentences: Sequence[str], number: int, start: int, old: str, new: str) -> tuple[str, ...]:
    if not 0 <= number < len(sentences) or start < 0 or not sentences[number].startswith(old, start):
        raise ValueError(f"edit log does not fit: {old!r} is not at character {start} of sentence {number}")
    text = sentences[number]
    return (*sentences[:number], text[:start] + new + text[start + len(old) :], *sentences[number + 1 :])


def _typo(text: str) -> list[Span]:
    """Two inner letters change places, in a word of a list that holds no clinical word."""
    spans = []
    for match in WORD.finditer(text):
        word = match[0]
        if word.lower() in words("language", "typo_words"):
            spans += [(match.start(), word, word[:i] + word[i + 1] + word[i] + word[i + 2 :])
                      for i in range(1, len(word) - 2) if word[i] != word[i + 1]]  # fmt: skip
    return spans


_AGE = re.compile(r"(?<![\w.])(\d{1,3})[- ]year[- ]old(?!\w)")
_AMOUNT = re.compile(r"(?<![\w.])(\d+) (hours?|days|weeks?|months?|years|minutes)(?!\w|[- ]old)")
_COUNTED = re.compile(r"(?<![\w-])(\w+)(?= (?:hour|day|week|month|year|minute)s?(?!\w))", re.IGNORECASE)
_DATE = re.compile(r"(?<!\w)(January|February|March|April|June|July|August|September|October|November|December)(?= \d)")


def _age(text: str) -> list[Span]:
    return [(m.start(), m[0], f"{m[1]}{form}") for m in _AGE.finditer(text) for form in (" y/o", "-yr-old", "yo")]


def _duration(text: str) -> list[Span]:
    forms = table("language")["unit_forms"]
    return [(m.start(), m[0], f"{m[1]} {forms[m[2]]}") for m in _AMOUNT.finditer(text)]


def _count(text: str) -> list[Span]:
    digits = table("language")["number_words"]
    return [(m.start(), m[1], digits[m[1].lower()]) for m in _COUNTED.finditer(text) if m[1].lower() in digits]


def _date(text: str) -> list[Span]:
    return [(m.start(), m[0], m[0][:3]) for m in _DATE.finditer(text)]


def _abbreviation(text: str) -> list[Span]:
    short = table("language")["abbreviations"]
    return [(m.start(), m[0], short[m[0].lower()]) for m in _pattern("abbreviations").finditer(text)]


def _brand(text: str) -> list[Span]:
    """Brand for generic and generic for brand."""
    spans = []
    for match in WORD.finditer(text):
        new = _other_names().get(match[0].lower())
        article = re.search(r"\ban? $", text[: match.start()], re.I)
        if new and not (article and (match[0][0].lower() in "aeiou") != (new[0].lower() in "aeiou")):
            spans.append((match.start(), match[0], new.capitalize() if match.start() == 0 else new))
    return spans


@cache
def _other_names() -> dict[str, str]:
    """Brand and generic of each other, where the table pairs them one to one."""
    generic_of: dict[str, str] = {brand.lower(): generic for brand, generic in table("drugs")["brands"].items()}
    return {generic: brand.capitalize() for brand, generic in generic_of.items()} | generic_of


def _phrase(text: str) -> list[Span]:
    """A stock phrase of the narrative for one that says the same."""
    other: dict[str, str] = table("language")["narrative"]
    return [(m.start(), m[0], other[m[0]]) for m in _pattern("narrative").finditer(text)]


@cache
def _pattern(key: str) -> re.Pattern[str]:
    return alternatives(words("language", key), ignore_case=key == "abbreviations")


OPERATORS: dict[str, Callable[[str], list[Span]]] = {
    "typo": _typo,
    "age": _age,
    "duration": _duration,
    "count": _count,
    "date": _date,
    "abbreviation": _abbreviation,
    "brand": _brand,
    "phrase": _phrase,
}
