"""The same case told of somebody else: age, occupation, companion, place of care and name are reworded, each
consistently over the whole note or not at all.

A change is made only where the note's medicine does not hang on it: the table's rows say which words stand for each
other, an age stays between the boundaries of guidelines, a companion is one who brings the patient and speaks, and no
sentence that is locked as evidence changes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache

from envs.knowledge.demographics import Alike, demographics, same_ages
from envs.knowledge.rows import contradictions
from envs.verdict.knowledge.tables import alternatives
from envs.verdict.scribe.edits import Edit, apply
from envs.verdict.scribe.phrases import swap

OPERATOR = "retell"
Mention = tuple[int, int, str, str]
"""A place to change: (sentence, start, old, new)."""

_AGE = re.compile(r"(?<![\d.])(\d{2})(?=[- ]year[- ]old(?!\w))", re.I)
_AGES = re.compile(
    r"years?[- ]old\b|\baged?\b|\bages\b|\bturned \d|\bborn in\b|\bdecades?\b|\btwenty|thirty|fort[yi]", re.I
)
_BY_AGE = re.compile(
    r"screen|vaccin|immuniz|mammogra|colonoscop|densitom|DXA|DEXA|Pap smear|menopaus|pregnan|gestation|gravida|scor|"
    r"clearance|elderly|premature|early[- ]onset|retire|height|growth|risk factor|life expectancy|donor",
    re.I,
)
_YEARS = re.compile(r"(?<![\d.])(\d{1,2})[- ](?:pack-)?years?\b(?![- ]old)", re.I)
_EARLIEST = 15  # years of age at which what lasts for decades may have begun
_SPEAKS = (
    r"reports|reported|says|said|states|stated|adds|added|notes|noted|explains|describes|mentions|recalls|tells|told|"
    r"is (?:concerned|worried)|was (?:concerned|worried)"
)
_FAMILY = re.compile(
    r"\b(?:mother|father|parents?|son|daughter|brother|sister|siblings?|wife|husband|aunt|uncle|cousin|grand\w+|"
    r"nephew|niece|children)\b",
    re.I,
)
_INFANT = re.compile(r"newborn|neonat|infant|(?:day|week|month)s?[- ]old|breast-?f|deliver|birth|born|pregnan", re.I)
_NAME = re.compile(r"\b(?:Mr|Mrs|Ms)\.? ([A-Z][a-z]+)(?!\w)")


def kinds(sentences: Sequence[str], free: Sequence[int]) -> frozenset[str]:
    """The kinds of changes that the note takes in the sentences numbered in `free`."""
    return frozenset(kind for kind in KINDS if _options(kind, tuple(sentences), tuple(free)))


def retold(
    sentences: Sequence[str], free: Sequence[int], kinds: Iterable[str], rng: random.Random
) -> tuple[tuple[str, ...], list[Edit]]:
    """The note with one change of each of `kinds` that it takes, and the log; only sentences in `free` change."""
    out, log = tuple(sentences), list[Edit]()
    for kind in sorted(kinds):
        salt = rng.random()  # one draw a kind, so that twins whose words differ draw the same for the next
        options = _options(kind, out, tuple(free))
        if not options:
            continue
        # from the right, so that each start is that of the text at the time of its edit
        for number, start, old, new in sorted(options[int(salt * len(options))], key=lambda one: (one[0], -one[1])):
            edit = swap(out[number], number, start, old, new, f"{OPERATOR}:{kind}")
            out = apply(out, edit)
            log.append(edit)
    return out, log


@lru_cache(maxsize=4096)
def _options(kind: str, sentences: tuple[str, ...], free: tuple[int, ...]) -> list[list[Mention]]:
    return [one for one in KINDS[kind](sentences) if {mention[0] for mention in one} <= set(free)]


def _ages(sentences: Sequence[str]) -> list[list[Mention]]:
    """The patient's age in years, where the note states no other and nothing in it goes by age."""
    found = [(i, m) for i, said in enumerate(sentences) for m in _AGE.finditer(said)]
    note = " ".join(sentences)
    if len(found) != 1 or found[0][0] != 0 or len(_AGES.findall(note)) != 1 or _BY_AGE.search(note):
        return []
    age, longest = int(found[0][1][1]), max((int(m[1]) for m in _YEARS.finditer(note)), default=0)
    fit = [new for new in same_ages(age) if new - longest >= _EARLIEST and _same_by_table(age, new)]
    return [[(0, found[0][1].start(), str(age), str(new))] for new in fit]


def _same_by_table(one: int, other: int) -> bool:
    return all((one <= bound) == (other <= bound) and (one >= bound) == (other >= bound) for bound in _age_bounds())


@cache
def _age_bounds() -> frozenset[float]:
    conditions = (condition.split(" ") for row in contradictions() for condition in row.wrong)
    return frozenset(float(parts[2]) for parts in conditions if parts[0] == "age")


def _occupations(sentences: Sequence[str]) -> list[list[Mention]]:
    return _swapped(sentences, demographics().occupations, _is_whole)


def _kin(sentences: Sequence[str]) -> list[list[Mention]]:
    """Somebody who brings the patient and speaks, of whom nothing else is said; the note names no other family."""
    note = " ".join(sentences)
    if _INFANT.search(note) or len({word.lower() for word in _FAMILY.findall(note)}) > 1:
        return []
    return _swapped(sentences, demographics().kin, _is_companion)


def _is_companion(said: str, start: int, end: int) -> bool:
    before, after = said[:start], said[end:]
    owned = re.search(r"\b(?:[Hh]is|[Hh]er|[Tt]he|a) $", before)
    brings = re.search(r"\b(?:by|[Aa]ccording to) (?:his|her|the|a) $", before)
    return bool(owned) and (
        (bool(brings) and re.match(r"\.?$| (?:because|for|with|after|due|on|in|at)\b", after) is not None)
        or re.match(rf" (?:{_SPEAKS})\b", after) is not None
    )


def _is_whole(said: str, start: int, end: int) -> bool:
    return not said[end:].startswith(("'", "’"))


def _settings(sentences: Sequence[str]) -> list[list[Mention]]:
    return _swapped(sentences[:1], demographics().settings, _is_whole)


def _names(sentences: Sequence[str]) -> list[list[Mention]]:
    """A surname, wherever it stands."""
    note = " ".join(sentences)
    names = sorted({m[1] for m in _NAME.finditer(note)})
    others = [name for name in demographics().surnames.says if name not in note]
    return [
        [(i, m.start(), name, new) for i, said in enumerate(sentences) for m in re.finditer(rf"\b{name}\b", said)]
        for name in names
        for new in others
    ]


def _swapped(
    sentences: Sequence[str], rows: Sequence[Alike], fits: Callable[[str, int, int], bool]
) -> list[list[Mention]]:
    """All mentions of a word of a row, for each other word of the row that the note does not hold; all must fit."""
    note, options = " ".join(sentences).lower(), list[list[Mention]]()
    for row in rows:
        for old in row.says:
            if old not in note:
                continue
            found = [(i, m) for i, said in enumerate(sentences) for m in _word(old).finditer(said)]
            if found and all(fits(sentences[i], m.start(), m.end()) for i, m in found):
                others = [new for new in row.says if not _word(new).search(note)]
                options += [[(i, m.start(), m[0], new) for i, m in found] for new in others]
    return options


@cache
def _word(phrase: str) -> re.Pattern[str]:
    return alternatives(frozenset({phrase}))


KINDS: dict[str, Callable[[Sequence[str]], list[list[Mention]]]] = {
    "age": _ages,
    "kin": _kin,
    "name": _names,
    "occupation": _occupations,
    "place": _settings,
}
