"""What gives an edit away to a reader who knows no medicine: such an error is none, and is refused."""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum

from envs.verdict.knowledge.tables import WORD, table, words
from envs.verdict.scribe.edits import Edit

_PAIRS = (("(", ")"), ("[", "]"), ("“", "”"))
_TWICE = re.compile(r"\b(\w+) \1\b", re.I)
_ARTICLE = re.compile(r"\b(an?) ([a-z]\w*)", re.I)
_VOWEL = re.compile(r"(?:[aeio]|u(?!ni|se|ro|ri))", re.I)
_SILENT = re.compile(r"(?:hour|honest|heir|one|once|eu)", re.I)
_MEASURED = re.compile(r"\d ?%? $")


class Artefact(StrEnum):
    """What is wrong with the form of a changed sentence."""

    BRACKETS = "brackets"  # one is missing
    TWICE = "twice"  # a word stands twice in a row
    ARTICLE = "article"  # `a` before a vowel, or `an` before none
    DRUG = "drug"  # a drug is named twice
    CAPITAL = "capital"  # amid a sentence, of another note's first word
    COMPOSITE = "composite"  # a number before it belongs to what was there


def artefact(sentence: str, changed: str, edit: Edit) -> Artefact | None:
    """The first artefact that `edit` brings into `sentence`, or None."""
    for name, count in ((Artefact.BRACKETS, _open), (Artefact.TWICE, _doubled), (Artefact.ARTICLE, _misfit)):
        if count(changed) > count(sentence):
            return name
    if _drugs_twice(changed) > _drugs_twice(sentence):
        return Artefact.DRUG
    if edit.operator == "inject:B" and edit.start and _is_strange_capital(edit):
        return Artefact.CAPITAL
    is_name = edit.old[:1].isalpha() and len(edit.old) > 3
    return Artefact.COMPOSITE if is_name and _MEASURED.search(sentence[: edit.start]) else None


def _is_strange_capital(edit: Edit) -> bool:
    """Does a word with a capital that is no organism's, no initialism and no person's take the place of one without?"""
    was, now = edit.old.split()[0], edit.new.split()[0]
    known = {name.split()[0] for name in table("organisms")["names"]}
    return now.istitle() and not was.istitle() and now not in known and not now.endswith("'s")


def _open(text: str) -> int:
    return sum(abs(text.count(one) - text.count(other)) for one, other in _PAIRS)


def _doubled(text: str) -> int:
    return len(_TWICE.findall(text))


def _misfit(text: str) -> int:
    """Articles that do not fit the sound of the next word, by its letters; a capital letter alone is no word."""
    return sum(
        bool(_VOWEL.match(word)) != (article.lower() == "an") and not _SILENT.match(word)
        for article, word in _ARTICLE.findall(text)
        if not word.isupper()
    )


def _drugs_twice(text: str) -> int:
    drugs = Counter(word for word in map(str.lower, WORD.findall(text)) if word in words("drugs", "generics"))
    return sum(count > 1 for count in drugs.values())
