"""Cosmetic noise: a messy note that says the same. Ten kinds and stock phrases, each a list of places that a sentence
offers; none looks at a label, and the log inverts exactly.

`FORMAL` kinds change no letter of a word but its case, so that they may also fall where evidence stands.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from envs.verdict.knowledge.tables import WORD, alternatives, table, words
from envs.verdict.scribe.edits import OPERATORS, Edit, Span, apply

LEAST_KINDS = 2
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {key: row[max(0, at - 1) : at] + row[at + 1 : at + 2] for row in _ROWS for at, key in enumerate(row)}
_COUNT = re.compile(r"(?<![\w./-])(\d{1,2})(?= (?:hours?|days?|weeks?|months?|years?|minutes?|times)(?!\w))")
_CLOCK = re.compile(r"(?<![\d:])(\d{1,2}):(\d{2}) ?(am|pm|AM|PM)\b")
_DAY = re.compile(
    r"(?<!\w)(January|February|March|April|June|July|August|September|October|November|December) (\d{1,2})(?![\d,])"
)
_LIST = re.compile(r", and(?= [a-z])")
_GAP = re.compile(r"(?<=[a-z,]) (?=[a-z])")


def noise(
    sentences: Sequence[str],
    free: Sequence[int],
    formal: Sequence[int],
    count: int,
    rng: random.Random,
    pair: random.Random,
) -> tuple[tuple[str, ...], list[Edit]]:
    """`count` edits that touch no letter twice, of as many kinds as there are; fewer where the note offers no place.

    All kinds may change the sentences numbered in `free`, those of `FORMAL` also the ones in `formal`.
    `pair` orders the kinds, alike for twins; `rng` draws the places.
    """
    out, log = tuple(sentences), list[Edit]()
    touched: dict[int, list[tuple[int, int]]] = {}
    names, turn, silent = pair.sample(sorted(KINDS), len(KINDS)), 0, 0
    while len(log) < count and silent < len(names):
        name, turn = names[turn % len(names)], turn + 1
        where = sorted({*free, *formal}) if name in FORMAL else free
        places = [(i, span) for i in where for span in KINDS[name](out[i]) if _is_fresh(span, touched.get(i, ()))]
        if not places:
            silent += 1
            continue
        silent = 0
        at, (start, old, new) = rng.choice(places)
        edit = Edit(operator=f"noise:{name}", sentence=at, start=start, old=old, new=new)
        out = apply(out, edit)
        touched[at] = [*_shifted(touched.get(at, ()), edit), (start, start + len(new))]
        log.append(edit)
    return out, log


def _is_fresh(span: Span, touched: Sequence[tuple[int, int]]) -> bool:
    """Is the place no neighbour of a letter that another edit wrote?"""
    start, end = span[0], span[0] + len(span[1])
    return all(end < low or start > high for low, high in touched)


def _shifted(touched: Sequence[tuple[int, int]], edit: Edit) -> list[tuple[int, int]]:
    by = len(edit.new) - len(edit.old)
    return [(low + by, high + by) if low > edit.start else (low, high) for low, high in touched]


def _plain_words(text: str) -> list[re.Match[str]]:
    """The everyday words of a sentence: no clinical word is among them."""
    return [match for match in WORD.finditer(text) if match[0].lower() in words("language", "typo_words")]


def _keyboard(text: str) -> list[Span]:
    """Two inner letters change places, or one is its neighbour on the keyboard."""
    spans = list(OPERATORS["typo"](text))
    for match in _plain_words(text):
        word = match[0]
        spans += [(match.start(), word, word[:i] + key + word[i + 1 :])
                  for i in range(1, len(word) - 1) for key in _BESIDE.get(word[i], "")]  # fmt: skip
    return spans


def _sound(text: str) -> list[Span]:
    """A word as it sounds."""
    return _replaced(text, "misspellings")


def _format(text: str) -> list[Span]:
    """Ages, durations, months and times in the form of another house."""
    spans = [span for name in ("age", "duration", "date") for span in OPERATORS[name](text)]
    spans += [
        (m.start(), m[0], f"{int(m[1]) % 12 + 12 * (m[3].lower() == 'pm'):02}{m[2]}") for m in _CLOCK.finditer(text)
    ]
    return spans + [(m.start(), m[0], f"{m[2]} {m[1]}") for m in _DAY.finditer(text)]


def _unit(text: str) -> list[Span]:
    """The same unit, as somebody types it."""
    forms: Mapping[str, str] = table("language")["unit_spellings"]
    return [(m.start(), m[0], forms[m[0]]) for m in _units().finditer(text)]


def _abbreviation(text: str) -> list[Span]:
    """Abbreviated, or written out."""
    longs = {short: long for long, short in table("language")["abbreviations"].items()}
    found = alternatives(frozenset(longs), ignore_case=False).finditer(text)
    return [*OPERATORS["abbreviation"](text), *((m.start(), m[0], longs[m[0]]) for m in found if m.start())]


def _casing(text: str) -> list[Span]:
    """An everyday word in capitals or without its capital."""
    spans = [(m.start(), m[0], m[0].upper()) for m in _plain_words(text)]
    first = WORD.match(text)
    if first and first[0].istitle() and len(first[0]) > 1 and first[0].lower() in words("language", "stopwords"):
        spans.append((0, first[0], first[0].lower()))
    return spans


def _punctuation(text: str) -> list[Span]:
    """The last stop is missing or doubled; a list does without its last comma."""
    spans = [(m.start(), m[0], " and") for m in _LIST.finditer(text)]
    if re.search(r"\w\.$", text):
        spans += [(len(text) - 2, text[-2:], text[-2]), (len(text) - 2, text[-2:], text[-2] + "..")]
    return spans


def _spacing(text: str) -> list[Span]:
    """Two blanks for one, or one before a comma."""
    spans = [(m.start() - 1, text[m.start() - 1 : m.end()], text[m.start() - 1] + "  ") for m in _GAP.finditer(text)]
    return spans + [(m.start(), m[0], f"{m[0][0]} ,") for m in re.finditer(r"[a-z],(?= [a-z])", text)]


def _british(text: str) -> list[Span]:
    return _replaced(text, "british")


def _dictated(text: str) -> list[Span]:
    """A count as a word, or as a number."""
    numbers = {digit: word for word, digit in table("language")["number_words"].items()}
    spans = [(m.start(), m[1], numbers[m[1]]) for m in _COUNT.finditer(text) if m[1] in numbers and m.start()]
    return [*spans, *OPERATORS["count"](text)]


def _replaced(text: str, key: str) -> list[Span]:
    """Words of the mapping `key`, with their capital."""
    forms: Mapping[str, str] = table("language")[key]
    spans = list[Span]()
    for match in WORD.finditer(text):
        new = forms.get(match[0].lower())
        if new and match[0] != match[0].upper():
            spans.append((match.start(), match[0], new.capitalize() if match[0].istitle() else new))
    return spans


@cache
def _units() -> re.Pattern[str]:
    body = "|".join(re.escape(unit) for unit in sorted(table("language")["unit_spellings"], key=len, reverse=True))
    return re.compile(rf"(?<=\d)(?:{body})(?![\w/])|(?<=\d )(?:{body})(?![\w/])")


KINDS: dict[str, Callable[[str], list[Span]]] = {
    "keyboard": _keyboard,
    "sound": _sound,
    "format": _format,
    "unit": _unit,
    "brand": OPERATORS["brand"],
    "abbreviation": _abbreviation,
    "casing": _casing,
    "punctuation": _punctuation,
    "spacing": _spacing,
    "british": _british,
    "dictated": _dictated,
    "phrase": OPERATORS["phrase"],
}
FORMAL = frozenset({"casing", "punctuation", "spacing"})
