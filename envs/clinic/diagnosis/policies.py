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
from envs.clinic.diagnosis.findings import (
    EXAMINE,
    FINDINGS,
    INTERVIEW,
    LAB_CODES,
    LABS,
    PREGNANT_IU_L,
    STUDY,
    Facts,
    place,
)
from envs.clinic.diagnosis.pairs import PAIRS, SIMPLE
from envs.clinic.diagnosis.tools import BACKGROUND, CALL, DRUGS, GIVE, SIMPLE_CODES, SIMPLE_RULES, SUBMIT
from envs.clinic.domain import Plan, Play, Write

_REQUEST = re.compile(r"Patient (P\d+): (\w+), (\d+) years, comes with ([a-z ]+)\.")
_NUMBER = re.compile(r"^([a-z_0-9]+) (-?[\d.]+)", re.MULTILINE)
_ALLERGY = re.compile(r"\((\w+)\)")
_BY_TEXT = {text: (name, value) for name, one in FINDINGS.items() for value, text in one.texts.items()}
_ARGUMENT = {INTERVIEW: "topic", EXAMINE: "system", STUDY: "study"}


_LABS_FIRST = "abdominal pain"


class Seen:
    """What the first message says, and whether the tier is `first`."""

    def __init__(self, opening: str) -> None:
        *_, found = _REQUEST.finditer(opening)
        self.patient, self.age, self.complaint = found[1], int(found[3]), found[4]
        self.simple = opening.startswith(SIMPLE_RULES)
        codes = SIMPLE_CODES if self.simple else [one.code for one in COMPLAINTS[self.complaint]]
        self.considered = [CONDITIONS[code] for code in codes]


def oracle(opening: str, write: Write) -> Play:
    """Reads all on which the complaint's conditions rest, does what is due, and submits the one that holds."""
    seen = Seen(opening)
    facts = yield from _read(seen, write)
    (condition,) = _simply(facts) if seen.simple else holding(seen.complaint, facts)
    yield from _ended(seen, condition, write, facts)


def _read(seen: Seen, write: Write) -> Generator[str, str, Facts]:
    """Laboratory values of the belly come before its CT, which is left out in a pregnancy; else after what takes less
    time. In the tier `first` studies, until one shows something."""
    facts: Facts = {}
    if seen.simple:
        for study in SIMPLE:
            if not _simply(facts):
                facts |= _understood((yield write(STUDY, patient_id=seen.patient, study=study)))
        return facts
    codes = [name for name in needed(seen.complaint) if name in LAB_CODES]
    others = dict.fromkeys(place(name) for name in needed(seen.complaint) if name not in LAB_CODES)
    calls = []
    for where in others:
        tool, _, topic = where.partition(":")
        more = {_ARGUMENT[tool]: topic} if tool in _ARGUMENT else {}
        calls.append(write(tool, patient_id=seen.patient, **more))
    scan = write(STUDY, patient_id=seen.patient, study="ct_abdomen")
    if codes:
        at = 0 if seen.complaint == _LABS_FIRST else len(calls)
        calls.insert(at, write(LABS, patient_id=seen.patient, codes=codes))
    for call in calls:
        if call != scan or float(facts.get("hcg", 0)) <= PREGNANT_IU_L:
            facts |= _understood((yield call))
    return {"ct_abdomen": FINDINGS["ct_abdomen"].normal, **facts}


def _simply(facts: Facts) -> list[Condition]:
    """What the findings of the tier `first` mean."""
    shown = [(codes, facts.get(study)) for study, codes in SIMPLE.items()]
    return [CONDITIONS[codes[str(value)]] for codes, value in shown if str(value) in codes]


def _understood(answer: str) -> Facts:
    """The findings of an answer, by its sentences and numbers."""
    texts = {name: value for text, (name, value) in _BY_TEXT.items() if text in answer}
    numbers = {name: float(value) for name, value in _NUMBER.findall(answer) if name in FINDINGS}
    return {**texts, **numbers}


def _ended(seen: Seen, condition: Condition, write: Write, facts: Facts | None = None) -> Play:
    """Does what a condition wants at once, unless `facts` say that it harms, and submits it with its place."""
    if seen.simple:
        yield write(SUBMIT, patient_id=seen.patient, icd10=condition.code)
        return
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
    """In the tier `first` all are equally common."""
    return max(seen.considered, key=lambda one: _SHARES[seen.complaint][one.code])


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
    if seen.simple:
        yield from _ended(seen, _commonest(seen), write)
        return
    for drug in DRUGS[:6]:
        yield write(GIVE, patient_id=seen.patient, drug=drug)
    for specialty in SPECIALTIES:
        yield write(CALL, patient_id=seen.patient, specialty=specialty)
    yield write(SUBMIT, patient_id=seen.patient, icd10=_commonest(seen).code, disposition=WARD)


def _looping(opening: str, write: Write) -> Play:
    seen = Seen(opening)
    while True:
        yield write(STUDY, patient_id=seen.patient, study="ultrasound")


def _chosen() -> Sequence[tuple[str, str, bool]]:
    return [(f"{'reads all, ' if reads else ''}{name}", name, reads) for name in _CHOICES for reads in (True, False)]


BLIND: Mapping[str, Plan] = {
    **{title: partial(_fixed, name, reads) for title, name, reads in _chosen()},
    "everything": _everything,
    "loop": _looping,
}
"""Policies that decide without what decides."""
