"""Places where a changed span would be no error of this visit: in what somebody tells, denies or once had, of another
person, or beside the result of the test that it names. A reader of injected errors found them (docs/benchmarks.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import cache

from envs.knowledge.rows import contradictions
from envs.verdict.knowledge.tables import WORD
from envs.verdict.scribe.edits import Edit

_TOLD = re.compile(
    r"\b(?:reports?|reported|states?|stated|says|said|believes|thinks|claims|claimed|insists|fears|refuses|refused|"
    r"declines|declined|remembers|recalls|"
    r"notes that|record notes|feels)\b(?! (?:show|reveal|indicate|confirm|of|the presence))",
    re.I,
)
_ELSE = re.compile(
    r"\b(?:partners?|husband|wife|boyfriend|girlfriend|fetus|fetal|maternal|paternal|roommate|sister|brother|son|"
    r"daughter|aunt|uncle|"
    r"cousin|newborn's mother)\b",
    re.I,
)
_DENIED = re.compile(
    r"\b(?:without|no|not|never|nor|neither|unable to|cannot|instead of|rather than|ruled out|excluded)\b[^,.;]{0,60}$",
    re.I,
)
_ONCE = re.compile(
    r"\b(?:which|that) (?:was|were) (?:treated|managed)\b|\b(?:has|have|had) (?:been|had|received|undergone|tried|"
    r"taken)\b|"
    r"\b(?:he|she|patient) has [^.;]{3,60} (?:treated|managed|controlled) with\b|"
    r"\bsince birth\b|\bpreviously\b|\bin the past\b|\bused to\b|"
    r"\balready\b|\bearlier\b|\brecently\b|\bhad (?:a |an )?(?:post|previous|prior)|\bafter (?:receiving|undergoing)\b|"
    r"\blast (?:week|month|year)\b",
    re.I,
)
_THEN = re.compile(r"\bat (?:the )?age\b|\b(?:day|week|month|year)s? (?:earlier|before|ago)\b|^both\b", re.I)
_FOUND = re.compile(
    r"^(?:(?!\b(?:after|based|because|since|when|given|for)\b)[^.;]){0,60}?\b(?:shows?|showed|showing|demonstrat\w+|"
    r"reveals?|revealed|confirm(?:s|ed)|found|finds|"
    r"unremarkable|negative|positive|normal|did not|seen|noted|shown|visible|illustrated)\b",
    re.I,
)
_DECIDED = re.compile(r"\b(?:suspected|possible|probable|diagnos\w+)\b", re.I)
_TEST = re.compile(
    r"(?:scopy|graphy|gram|metry|centesis|serology|smear|culture|scan|\btests?|testing|biopsy|imaging|panel|analysis|"
    r"puncture|aspiration|"
    r"\b(?:MRI|CT|EKG|ECG|EEG|x-ray|ultrasound|assay|radiograph|catheterization|levels?))\b",
    re.I,
)
_LABORATORY = re.compile(r"\b(?:cultures?|pathology|gram stain|smear|motor exam)\b[^.]*$", re.I)
_TAKEN = re.compile(r"^ (?:is|was|are|were|will be) (?:then |immediately )?(?:obtained|conducted|tested|drawn)\b")
_SUSCEPTIBLE = re.compile(r"\b(?:susceptible|sensitive|sensitivity|resistan\w+)\b", re.I)
_PREPOSITION = re.compile(r"^(?:by|with|for|in|of|to|on|after|due|from|as)\b", re.I)
_IMAGE = frozenset(
    [
        "a",
        "an",
        "the",
        "ct",
        "mri",
        "scan",
        "scans",
        "x-ray",
        "x-rays",
        "ultrasound",
        "imaging",
        "radiograph",
        "plain",
        "head",
        "brain",
        "with",
        "without",
        "contrast",
        "of",
    ]
)
_OBJECT = re.compile(
    r"^ (?:against|to (?!further|better|evaluate|determine|improve|prevent|reduce|treat|confirm|rule|assess|control|"
    r"help|"
    r"lower|relieve|be\b|the patient|him\b|her\b))\b"
)
_CONTINUES = re.compile(r"^ (?:[A-Z]|\d+)\b(?!\.)|^-")  # `amphotericin B`
_ROUTES = frozenset(["oral", "intravenous", "iv", "intramuscular", "topical", "subcutaneous", "inhaled"])
_BEFORE = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "for",
        "with",
        "by",
        "to",
        "on",
        "and",
        "or",
        "is",
        "was",
        "are",
        "were",
        "be",
        "been",
        "has",
        "in",
        "after",
        "as",
        "than",
        "from",
        "patient",
        "patient's",
        "his",
        "her",
        "that",
        "this",
        "no",
        "likely",
        "possible",
        "acute",
        "chronic",
        "severe",
        "suspected",
        "which",
        "causes",
        "cause",
        "symptoms",
        "only",
        "also",
        "daily",
    ]
)


class Misplaced(StrEnum):
    """Why an error cannot stand here."""

    TOLD = "told"
    ELSE = "else"
    DENIED = "denied"
    ONCE = "once"
    OPENING = "opening"  # what brought the patient here is no decision
    RESULT = "result"  # the sentence goes on with what the test showed
    LABORATORY = "laboratory"  # a culture indicates an organism, no other diagnosis
    TAKEN = "taken"  # nobody `obtains` a rewarming
    TO = "to"  # `hypersensitivity to gliadin`
    SUSCEPTIBLE = "susceptible"  # a laboratory's finding, which may be so
    PART = "part"  # of a longer name: `incentive spirometry`
    PREPOSITION = "preposition"
    IMAGING = "imaging"  # a better picture of the same place is seldom wrong


def misplaced(sentences: Sequence[str], edit: Edit) -> Misplaced | None:
    """The first reason why `edit` of a clean note makes no error that a reader could find, or None."""
    before, after = _around(sentences[edit.sentence], edit)
    is_test = _TEST.search(edit.old) is not None
    for reason, found in (
        (Misplaced.OPENING, edit.sentence == 0 and len(sentences) > 2 and not _DECIDED.search(before)),
        (Misplaced.TOLD, _TOLD.search(before)),
        (Misplaced.ELSE, _ELSE.search(before + after)),
        (Misplaced.DENIED, _DENIED.search(before)),
        (Misplaced.ONCE, _ONCE.search(before) or _THEN.search(sentences[edit.sentence])),
        (Misplaced.RESULT, is_test and _FOUND.search(after)),
        (Misplaced.LABORATORY, edit.operator == "inject:A:stated" and not is_test and _LABORATORY.search(before)),
        (Misplaced.TAKEN, _is_taken(edit, after)),
        (Misplaced.TO, edit.operator == "inject:A:stated" and _OBJECT.search(after)),
    ):
        if found:
            return reason
    return _mined(sentences[edit.sentence], before, after, edit) if edit.operator == "inject:B" else None


def _is_taken(edit: Edit, after: str) -> bool:
    """An act that is no test, where one is obtained; an act, where the name of a treatment goes on."""
    if edit.new.lower() in _acts() and after.startswith((" treatment", " therapy")):
        return True
    return not _TEST.search(edit.new) and _TAKEN.search(after) is not None


@cache
def _acts() -> frozenset[str]:
    return frozenset(row.say.lower() for row in contradictions() if row.kind == "act")


def _mined(sentence: str, before: str, after: str, edit: Edit) -> Misplaced | None:
    """What is wrong with another note's phrase in this place."""
    if _SUSCEPTIBLE.search(sentence):
        return Misplaced.SUSCEPTIBLE
    if _PREPOSITION.match(edit.new) and not _PREPOSITION.match(edit.old):
        return Misplaced.PREPOSITION
    if _is_part(before, edit) or _CONTINUES.match(after):
        return Misplaced.PART
    images = [{word.lower() for word in WORD.findall(text)} for text in (edit.old, edit.new)]
    return Misplaced.IMAGING if all(_TEST.search(t) for t in (edit.old, edit.new)) and images[1] <= _IMAGE else None


def _is_part(before: str, edit: Edit) -> bool:
    """Does the span follow a word that belongs to its name? A verb, a function word or a drug's route does not."""
    word = before.split()[-1] if before.split() else ""
    last = word.lower()
    if word[:1].isupper() and word.strip() != before.strip() and last not in _ROUTES:
        return True  # a name, as in `Phyllodes tumor`
    if not last or last in _BEFORE or last.endswith((",", ":", ".", "/")):
        return False
    if last in _ROUTES:
        return bool(_ROUTES & {word.lower() for word in WORD.findall(edit.new)})
    return not re.search(r"(?:ed|es|s)$", last) or last.startswith("un")


def _around(sentence: str, edit: Edit) -> tuple[str, str]:
    return sentence[: edit.start], sentence[edit.start + len(edit.old) :]
