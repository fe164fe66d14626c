"""Policies of a diagnosis: the oracle, which sees what any policy sees, and blind ones."""

from __future__ import annotations

import random
import re
import zlib
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from functools import partial

from envs.clinic.diagnosis.cases import DRUG_CLASSES
from envs.clinic.diagnosis.condition import INTENSIVE, NOBODY, SPECIALTIES, WARD, Condition
from envs.clinic.diagnosis.conditions import COMPLAINTS, CONDITIONS, holding, needed
from envs.clinic.diagnosis.findings import EXAMINE, FINDINGS, INTERVIEW, LAB_CODES, LABS, STUDY, Facts, place
from envs.clinic.diagnosis.pairs import PAIRS
from envs.clinic.diagnosis.tools import BACKGROUND, CALL, DRUGS, GIVE, SUBMIT
from envs.clinic.domain import Plan, Play, Write

_REQUEST = re.compile(r"Patient (P\d+): (\w+), (\d+) years, comes with ([a-z ]+)\.")
_NUMBER = re.compile(r"^([a-z_0-9]+) (-?[\d.]+)", re.MULTILINE)
_ALLERGY = re.compile(r"\((\w+)\)")
_BY_TEXT = {text: (name, value) for name, one in FINDINGS.items() for value, text in one.texts.items()}
_ARGUMENT = {INTERVIEW: "topic", EXAMINE: "system", STUDY: "study"}


_LABS_FIRST = "abdominal pain"


class Seen:
    """What the first message says."""

    def __init__(self, opening: str) -> None:
        *_, found = _REQUEST.finditer(opening)
        self.patient, self.age, self.complaint = found[1], int(found[3]), found[4]
        self.considered = COMPLAINTS[self.complaint]


def oracle(opening: str, write: Write) -> Play:
    """Reads all on which the complaint's conditions rest, does what is due, and submits the one that holds."""
    seen = Seen(opening)
    facts = yield from _read(seen, write)
    (condition,) = holding(seen.complaint, facts)
    yield from _ended(seen, condition, write, facts)


def _read(seen: Seen, write: Write) -> Generator[str, str, Facts]:
    """Laboratory values of the belly come before its CT, because of a pregnancy; else after what takes less time."""
    facts: Facts = {}
    codes = [name for name in needed(seen.complaint) if name in LAB_CODES]
    others = dict.fromkeys(place(name) for name in needed(seen.complaint) if name not in LAB_CODES)
    calls = []
    for where in others:
        tool, _, topic = where.partition(":")
        more = {_ARGUMENT[tool]: topic} if tool in _ARGUMENT else {}
        calls.append(write(tool, patient_id=seen.patient, **more))
    if codes:
        at = 0 if seen.complaint == _LABS_FIRST else len(calls)
        calls.insert(at, write(LABS, patient_id=seen.patient, codes=codes))
    for call in calls:
        facts |= _understood((yield call))
    return facts


def _understood(answer: str) -> Facts:
    """The findings of an answer, by its sentences and numbers."""
    texts = {name: value for text, (name, value) in _BY_TEXT.items() if text in answer}
    numbers = {name: float(value) for name, value in _NUMBER.findall(answer) if name in FINDINGS}
    return {**texts, **numbers}


def _ended(seen: Seen, condition: Condition, write: Write, facts: Facts | None = None) -> Play:
    """Does what a condition wants at once, unless `facts` say that it harms, and submits it with its place."""
    if condition.calls != NOBODY:
        yield write(CALL, patient_id=seen.patient, specialty=condition.calls)
    if condition.gives and not (facts and condition.harms(facts)):
        allergies = _ALLERGY.findall((yield write(BACKGROUND, patient_id=seen.patient)))
        if DRUG_CLASSES.get(condition.gives) not in allergies:
            yield write(GIVE, patient_id=seen.patient, drug=condition.gives)
    yield write(SUBMIT, patient_id=seen.patient, icd10=condition.code, disposition=condition.place)


def guesser(rng: random.Random) -> Plan:
    """Reads as the oracle does, and answers by chance."""

    def plan(opening: str, write: Write) -> Play:
        seen = Seen(opening)
        yield from _read(seen, write)
        yield from _ended(seen, rng.choice(seen.considered), write)

    return plan


_SHARES = {
    complaint: Counter(code for pair in PAIRS if pair.complaint == complaint for code in pair.codes)
    for complaint in COMPLAINTS
}
"""How often each condition is made, by complaint."""


def _commonest(seen: Seen) -> Condition:
    return CONDITIONS[_SHARES[seen.complaint].most_common(1)[0][0]]


def _gravest(seen: Seen) -> Condition:
    """The commonest of those that need intensive care."""
    grave = [one for one in seen.considered if one.place == INTENSIVE]
    return max(grave, key=lambda one: _SHARES[seen.complaint][one.code])


def _coin(seen: Seen) -> Condition:
    return seen.considered[zlib.crc32(f"{seen.patient} {seen.age}".encode()) % len(seen.considered)]


def _by_age(seen: Seen) -> Condition:
    return seen.considered[seen.age % len(seen.considered)]


def _fixed(choose: str, reads: bool, opening: str, write: Write) -> Play:
    """Submits what is chosen without what decides, with or without reading all before."""
    seen = Seen(opening)
    if reads:
        yield from _read(seen, write)
    yield from _ended(seen, _CHOICES[choose](seen), write)


_CHOICES = {"commonest": _commonest, "gravest": _gravest, "coin": _coin, "by age": _by_age}


def _everything(opening: str, write: Write) -> Play:
    """Gives every drug, calls everybody and sends the commonest condition to a ward."""
    seen = Seen(opening)
    for drug in DRUGS[:6]:
        yield write(GIVE, patient_id=seen.patient, drug=drug)
    for specialty in SPECIALTIES:
        yield write(CALL, patient_id=seen.patient, specialty=specialty)
    yield write(SUBMIT, patient_id=seen.patient, icd10=_commonest(seen).code, disposition=WARD)


def _looping(opening: str, write: Write) -> Play:
    while True:
        yield write(BACKGROUND, patient_id=Seen(opening).patient)


def _chosen() -> Sequence[tuple[str, str, bool]]:
    return [(f"{'reads all, ' if reads else ''}{name}", name, reads) for name in _CHOICES for reads in (True, False)]


BLIND: Mapping[str, Plan] = {
    **{title: partial(_fixed, name, reads) for title, name, reads in _chosen()},
    "everything": _everything,
    "loop": _looping,
}
"""Policies that decide without what decides."""
