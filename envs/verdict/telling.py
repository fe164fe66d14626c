"""The checker's own judgement of another telling of a case: who is said to be the patient, who comes along, and the
order of the sentences. It shares the tables with the Scribe, and no rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from envs.knowledge.demographics import demographics
from envs.knowledge.rows import contradictions
from envs.verdict.knowledge.tables import content_words, table


class Change(Protocol):
    """A replaced span of a note, as `envs.verdict.scribe.edits.Edit` logs it."""

    @property
    def sentence(self) -> int:
        """Number of the sentence in the source note."""

    @property
    def old(self) -> str:
        """What stood there."""

    @property
    def new(self) -> str:
        """What stands there instead."""


def _list(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FAMILY = _list(
    "mother father parent parents son daughter brother sister sibling siblings wife husband aunt uncle cousin "
    "grandmother grandfather grandparents nephew niece children"
)
_AGE_WORDS = _list(
    "screen vaccin immuniz mammogra colonoscop menopaus pregnan gestation gravida score clearance elderly premature "
    "retire height growth donor"
)
_HEARSAY = _list(
    "because for with after who reports reported says said states stated adds added notes noted explains describes "
    "mentions recalls tells told is was due on in at"
)
_BACKWARDS = _list(
    "this that these those such it its they them their above below former latter another other others again also "
    "result results finding findings then later now subsequent subsequently however therefore thus further following "
    "same still after before since until while when during once"
)
_POINTS_BACK = _list("it its this these those they their such both another other however then that")


def is_retelling(edit: Change) -> bool:
    """Could this edit be another age, occupation, companion, place of care or surname, by its words alone?"""
    return _kind(edit) is not None


def retelling_fault(source: Sequence[str], changes: Sequence[Change], evidence: frozenset[str]) -> str | None:
    """Why the note `source` does not stay the same case under these changes; None where it does.

    `evidence` are the content words of the decision that the label is about: no sentence with one of them may change.
    """
    words = [re.findall(r"[a-z]+", sentence.lower()) for sentence in source]
    for edit in changes:
        if content_words(source[edit.sentence]) & evidence:
            return f"{edit.old!r} -> {edit.new!r} changes sentence {edit.sentence}, which is evidence"
    for old, new in {(_bare(edit.old), _bare(edit.new)) for edit in changes}:
        among = [edit for edit in changes if _bare(edit.old) == old]
        if {_bare(edit.new) for edit in among} != {new}:
            return f"{old!r} is reworded in more than one way"
        kind = _kind(among[0])
        if kind == "age":
            fault = _age_fault(source, int(old), int(new))
        elif kind == "place":
            fault = None
        else:
            fault = _everywhere_fault(source, old, new, len(among))
        if fault is None and kind == "kin":
            fault = _kin_fault(words, old)
        if fault is not None:
            return f"{old!r} -> {new!r}: {fault}"
    return None


def order_fault(source: Sequence[str], order: Sequence[int]) -> str | None:
    """Why the sentences may not be told in this order; None where they may."""
    if order and sorted(order) != list(range(len(source))):
        return f"{list(order)} is no order of the {len(source)} sentences"
    place = {number: at for at, number in enumerate(order)}
    for early in range(len(source) if order else 0):
        for late in range(early + 1, len(source)):
            if place[late] < place[early] and (fault := _passing_fault(source[early], source[late])):
                return f"sentence {late} may not come before sentence {early}: {fault}"
    for at, number in enumerate(order):
        before = order[at - 1] if at else None
        opening = re.findall(r"[a-z]+", source[number].lower())[:1]
        if before != (number - 1 if number else None) and (number == 0 or set(opening) & _POINTS_BACK):
            return f"sentence {number} begins with a reference to the sentence that it followed"
    return None


def _passing_fault(early: str, late: str) -> str | None:
    low = set(re.findall(r"[a-z]+", late.lower()))
    if low & _BACKWARDS:
        return f"it refers back with {sorted(low & _BACKWARDS)[0]!r}"
    if content_words(early) & content_words(late):
        return f"both speak of {sorted(content_words(early) & content_words(late))[0]!r}"
    acts = set(table("language")["decision_cues"]) & set(re.findall(r"[a-z]+", early.lower()))
    return f"the one that it passes is an event ({sorted(acts)[0]!r})" if acts else None


def _bare(text: str) -> str:
    return re.sub(r"^an? ", "", text.lower())


def _kind(edit: Change) -> str | None:
    old, new = _bare(edit.old), _bare(edit.new)
    if old.isdigit() and new.isdigit():
        return "age"
    known = demographics()
    groups = {"occupation": known.occupations, "kin": known.kin, "place": known.settings, "name": (known.surnames,)}
    for kind, rows in groups.items():
        for row in rows:
            says = {word.lower() for word in row.says}
            if new in says and (old in says or (kind == "name" and edit.old.istitle())):
                return kind
    return None


def _age_fault(source: Sequence[str], old: int, new: int) -> str | None:
    note = " ".join(source).lower()
    if len(re.findall(rf"(?<!\d){old}[ -]year[ -]old", source[0].lower())) != 1 or note.count("year-old") > 1:
        return "it is not the one age in the note"
    if any(word in note for word in _AGE_WORDS):
        return "something in the note goes by age"
    bounds = [float(row.years) for row in demographics().age_boundaries]
    bounds += [float(c.split()[-1]) for row in contradictions() for c in row.wrong if c.startswith("age ")]
    low, high = min(old, new), max(old, new)
    if low <= min(row.years for row in demographics().age_boundaries) or any(low <= bound <= high for bound in bounds):
        return "a boundary lies between the two ages"
    lasting = [int(found) for found in re.findall(r"(?<![\d.])(\d{1,2})[ -](?:pack-)?years?\b(?![ -]old)", note)]
    return "something began too early in life" if any(new - years < 15 for years in lasting) else None


def _everywhere_fault(source: Sequence[str], old: str, new: str, changed: int) -> str | None:
    note = " ".join(source).lower()
    if re.search(rf"(?<![\w-]){re.escape(new)}(?![\w-])", note):
        return "the note says the new word already"
    said = len(re.findall(rf"(?<![\w-]){re.escape(old)}(?![\w-])", note))
    return None if said == changed else f"it stands {said} times in the note and changes {changed} times"


def _kin_fault(words: Sequence[Sequence[str]], old: str) -> str | None:
    if {word for said in words for word in said} & _FAMILY - {old}:
        return "the note speaks of others of the family"
    for said in words:
        for at, word in enumerate(said):
            after = said[at + 1] if at + 1 < len(said) else "for"
            if word == old and (at == 0 or said[at - 1] not in ("his", "her", "the", "a") or after not in _HEARSAY):
                return "more is said than that this person came along and spoke"
    return None
