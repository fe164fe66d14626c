"""The medical reason of a demonstration, where the tables hold one: why an error is one, and what was checked in a
clean note. A clause that follows a quotation: `"hyperkalemia" in sentence 4 ...`."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import cache

from common.records import Record
from envs.knowledge.rows import Contradiction, Measure, contradictions, measures
from envs.verdict.knowledge.tables import table
from envs.verdict.proofs import Patient, because, name_of, proofs

LONGEST = 6  # words of what a source says
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
_BOUND = re.compile(r"(.+) (<=|>=) ([\d.]+)")
_DOSE = re.compile(r"\b([A-Za-z]+) (\d+(?:\.\d+)?) ?mg\b(?!/)")


class Reason(Record):
    """What the tables say of the words `quote` of sentence number `at`, as a clause about them."""

    at: int
    quote: str
    clause: str


def against(source: Sequence[str], at: int, old: str, new: str) -> str | None:
    """Why `new` is wrong where the clean note `source` says `old` in sentence `at`; None where no table tells."""
    if rows := because(source, new):
        return _excluded(rows[0])
    was, now = _named(old), _named(new)
    drugs = table("drugs")
    if proofs(source, at, old, new) & {"pharmacotherapy"}:
        if ceiling := _ceiling(source[at]):
            return f"exceeds the {ceiling:g} mg a day of the label"
        if allergy := _allergy(source, now):
            return f"is one of the {allergy}, to which an allergy is stated"
    stated = [said.lower() for number, said in enumerate(source) if number != at]
    if name_of(old) in _organisms() and any("culture" in said and name_of(old) in said for said in stated):
        return "is not what the culture grew"
    one, other = _class_of(was), _class_of(now)
    if one and other and one != other:
        return f"is one of the {other}, and this case needs one of the {one}"
    if was in drugs["ceilings_mg_per_day"] and {was, now} in [set(pair) for pair in drugs["look_alikes"]]:
        return f"only looks like {was}, the drug at hand"
    return None


def in_favour(sentences: Sequence[str], rng: random.Random) -> Reason | None:
    """Something in a clean note that a table can vouch for; None where there is nothing."""
    found = [*_within_label(sentences), *_without_allergy(sentences), *_numbers(sentences)]
    return rng.choice(found) if found else None


def _excluded(row: Contradiction) -> str:
    """The conditions of the row that hold, and what its source says of them."""
    return f"cannot stand with {' and '.join(map(_in_words, row.wrong))}{_detail(row)}"


def _detail(row: Contradiction) -> str:
    """What the source says, without its name, where that is short: a demonstration must fit a small reply."""
    said = row.source.rpartition(": ")[2]
    return f" ({said})" if len(said.split()) <= LONGEST else ""


def _in_words(condition: str) -> str:
    bound = _BOUND.fullmatch(condition)
    if bound:
        return f"{bound[1]} of {bound[3]} or {'less' if bound[2] == '<=' else 'more'}"
    if condition.startswith("states "):
        return f"the stated {condition.removeprefix('states ')}"
    return {"male": "a male patient", "female": "a female patient", "pregnant": "pregnancy"}[condition]


def _named(text: str) -> str:
    """The drug of a phrase, if it names one of a class; else its last word."""
    words = _WORD.findall(text.lower())
    return next((word for word in words if _class_of(word)), words[-1] if words else "")


@cache
def _class_of(drug: str) -> str | None:
    return next((name for name, members in table("drugs")["classes"].items() if drug in members), None)


@cache
def _organisms() -> frozenset[str]:
    return frozenset(name.lower() for name in table("organisms")["names"])


def _ceiling(sentence: str) -> float | None:
    ceilings: dict[str, float] = table("drugs")["ceilings_mg_per_day"]
    return next((ceilings[word] for word in _WORD.findall(sentence.lower()) if word in ceilings), None)


def _allergy(source: Sequence[str], drug: str) -> str | None:
    kind = _class_of(drug)
    return kind if kind and any("allerg" in said.lower() for said in source) else None


def _within_label(sentences: Sequence[str]) -> Iterator[Reason]:
    ceilings: dict[str, float] = table("drugs")["ceilings_mg_per_day"]
    for at, said in enumerate(sentences):
        for match in _DOSE.finditer(said):
            most = ceilings.get(match[1].lower())
            if most is not None and float(match[2]) <= most:
                yield Reason(at=at, quote=match[0], clause=f"is a dose within the {most:g} mg a day of the label")


def _without_allergy(sentences: Sequence[str]) -> Iterator[Reason]:
    if any("allerg" in said.lower() for said in sentences):
        return
    for at, said in enumerate(sentences):
        for match in re.finditer(r"[A-Za-z-]+", said):
            if kind := _class_of(match[0].lower()):
                yield Reason(at=at, quote=match[0], clause=f"is one of the {kind}, to which no allergy is stated")


def _numbers(sentences: Sequence[str]) -> Iterator[Reason]:
    """A stated number that would contradict a diagnosis which a reader might suspect, and the note does not make."""
    facts, note = Patient(sentences), " ".join(sentences).lower()
    for row in contradictions():
        bound = _BOUND.fullmatch(row.wrong[0])
        likely = any(cue in note for cue in row.likely)
        if row.kind != "diagnosis" or len(row.wrong) > 1 or not bound or not likely or name_of(row.say) in note:
            continue
        measure = next((one for one in measures() if one.name == bound[1]), None)
        if measure is not None and facts.is_stated(row.wrong[0]):
            for at, quote in _stated(sentences, measure):
                yield Reason(at=at, quote=quote, clause=f"speaks against {row.say}{_detail(row)}, and nobody claims it")


def _stated(sentences: Sequence[str], measure: Measure) -> Iterator[tuple[int, str]]:
    names = "|".join(re.escape(word) for word in sorted(measure.words, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])(?:{names})(?: (?:is|was|of|concentration|count|level))* \d[\d.,]*\d?", re.I)
    for at, said in enumerate(sentences):
        if match := pattern.search(said):
            yield at, match[0]
