"""Do two versions of a sentence say the same? The checker's own judgement, which shares no rule with the noise."""

from __future__ import annotations

import re
from functools import cache

from envs.verdict.knowledge.tables import table

_KEYS = {
    key: (row, at) for row, keys in enumerate(("qwertyuiop", "asdfghjkl", "zxcvbnm")) for at, key in enumerate(keys)
}
_MONTH_DAY = re.compile(r"\b(\d{1,2}) (jan|feb|mar|apr|jun|jul|aug|sep|oct|nov|dec)\b")
_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2}) ?(am|pm)\b")


def cosmetic(before: str, after: str) -> bool:
    """Do two versions of a sentence say the same by the tables, or differ by one slip of the hand in a plain word?"""
    if normal(before) == normal(after):
        return True
    one, two = before.split(), after.split()
    pairs = [(a, b) for a, b in zip(one, two, strict=False) if a != b]
    return len(one) == len(two) and len(pairs) == 1 and _slipped(*pairs[0])


def _slipped(one: str, two: str) -> bool:
    """Inner letters changed places, or one is its neighbour on the keyboard."""
    plain = re.sub(r"\W+$", "", one).lower() in table("language")["typo_words"]
    places = [i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b]
    if not plain or len(one) != len(two) or not places or places[0] == 0:
        return False
    if len(places) == 1:
        (a, b) = (_KEYS.get(text[places[0]].lower()) for text in (one, two))
        return a is not None and b is not None and a[0] == b[0] and abs(a[1] - b[1]) == 1
    return (
        len(places) == 2
        and places[1] == places[0] + 1
        and (one[places[0]], one[places[1]]) == (two[places[1]], two[places[0]])
    )


@cache
def normal(sentence: str) -> str:
    """`sentence` with every cosmetic choice of the tables made the same way."""
    text = re.sub(r"(\d)(?:[- ]year[- ]old| y/o|-yr-old|yo)(?!\w)", r"\1yo", sentence.lower())
    text = re.sub(r"\.+$", "", " ".join(text.split())).replace(" ,", ",").replace(", and ", " and ")
    for unit, spelled in sorted(table("language")["unit_spellings"].items(), key=lambda pair: -len(pair[0])):
        written = re.escape(unit.lower())
        text = re.sub(rf"(?<=\d){written}(?![\w/])|(?<=\d ){written}(?![\w/])", spelled.lower(), text)
    text = re.sub(r"\w+", lambda match: _plainly().get(match[0], match[0]), text)
    text = _choices().sub(lambda match: _choice_of()[match[0]], text)
    text = _CLOCK.sub(lambda m: f"{int(m[1]) % 12 + 12 * (m[3] == 'pm'):02}{m[2]}", text)
    return _MONTH_DAY.sub(r"\2 \1", text)


@cache
def _plainly() -> dict[str, str]:
    """American and correct spelling of each other one."""
    language = table("language")
    return {other: word for key in ("british", "misspellings") for word, other in language[key].items()}


@cache
def _choice_of() -> dict[str, str]:
    """Each wording that an edit may change, with the representative of its kind."""
    language, same = table("language"), dict[str, str]()
    for mapping in (language["abbreviations"], language["unit_forms"], language["number_words"]):
        same |= {word.lower(): choice.lower() for word, choice in mapping.items()}
    same |= {brand.lower(): generic for brand, generic in table("drugs")["brands"].items()}
    same |= {month: short for short, month in language["months"].items()}
    for one, two in language["narrative"].items():
        one, two = one.lower(), two.lower()
        choice = same.get(two, same.get(one, one))
        same |= {one: choice, two: choice}
    return same


@cache
def _choices() -> re.Pattern[str]:
    body = "|".join(re.escape(word) for word in sorted(_choice_of(), key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{body})(?![\w-])")
