"""A reviewer that reads and applies the rules, and policies that do not."""

from __future__ import annotations

import random
import re
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from itertools import combinations

import msgspec

from envs.clinic.domain import Plan, Play, Write
from envs.clinic.interactions.facts import FORBIDDEN, PROPERTIES
from envs.clinic.interactions.review import Review
from envs.clinic.interactions.rules import ACTIONS, AVOID, CONTRAINDICATED, MAJOR, NONE, RULES, SEVERITIES, Rule
from envs.clinic.interactions.tools import ALLERGIES, INFO, LIST, SUBMIT

_PATIENT = re.compile(r"\b(P\d+)\b")
_TAKEN = re.compile(r"^([a-z_]+) .* every", re.MULTILINE)
_ALLERGY = re.compile(r"^allergy to (\w+)", re.MULTILINE)
_NAMES = {words: name for name, words in PROPERTIES.items()}
Read = dict[str, tuple[str, list[str]]]
"""By drug: its class and its properties, as they were answered."""


def patient_of(opening: str) -> str:
    """The patient whom a request is about."""
    *_, patient = _PATIENT.finditer(opening)
    return patient[1]


def _read(patient: str, write: Write) -> Generator[str, str, tuple[Read, list[str]]]:
    """Reads list, allergies and the facts of every drug on the list."""
    taken = _TAKEN.findall((yield write(LIST, patient_id=patient)))
    allergies = _ALLERGY.findall((yield write(ALLERGIES, patient_id=patient)))
    answer = yield write(INFO, drugs=taken)
    lines = [line.partition(": ") for line in answer.splitlines()]
    parts = {drug: rest.split("; ") for drug, _, rest in lines}
    return {drug: (part[0], [_NAMES[one] for one in part[1:]]) for drug, part in parts.items()}, allergies


def _submit(patient: str, review: Review, write: Write) -> str:
    return write(
        SUBMIT,
        patient_id=patient,
        pairs=list(review.pairs),
        severity=review.severity,
        action=review.action,
        allergy=review.allergy,
    )


def _between(first: Sequence[str], second: Sequence[str]) -> list[Rule]:
    sides = ((first, second), (second, first))
    return [rule for rule in RULES if any(rule.one in mine and rule.other in its for mine, its in sides)]


def _concluded(read: Read, allergies: Sequence[str]) -> Review:
    """What the rules say of the facts that were read."""
    pairs, gravest = list[str](), list[Rule]()
    for first, second in combinations(sorted(read), 2):
        found = _between(read[first][1], read[second][1])
        if found:
            pairs.append(f"{first}+{second}")
            gravest.append(max(found, key=lambda rule: SEVERITIES.index(rule.severity)))
    severity = max((rule.severity for rule in gravest), key=SEVERITIES.index, default=NONE)
    actions = [rule.action for rule in gravest if rule.severity == severity]
    classes = {name for allergy in allergies for name in FORBIDDEN[allergy]}
    forbidden = sorted(drug for drug, (drug_class, _) in read.items() if drug_class in classes)
    action = max(actions, key=ACTIONS.index, default=NONE)
    return Review(pairs=tuple(pairs), severity=severity, action=action, allergy=(*forbidden, NONE)[0])


def oracle(opening: str, write: Write) -> Play:
    """Reads, applies the rules, answers."""
    patient = patient_of(opening)
    read, allergies = yield from _read(patient, write)
    yield _submit(patient, _concluded(read, allergies), write)


def guesser(rng: random.Random) -> Plan:
    """Reads as the oracle does, and answers by chance."""

    def plan(opening: str, write: Write) -> Play:
        patient = patient_of(opening)
        read, _ = yield from _read(patient, write)
        pair = "+".join(sorted(rng.sample(sorted(read), 2)))
        guessed = Review(
            pairs=(pair,), severity=rng.choice(SEVERITIES[1:]), action=rng.choice(ACTIONS[1:]), allergy=NONE
        )
        yield _submit(patient, guessed if rng.random() < 0.5 else _NOTHING, write)

    return plan


_SUSPECTS = {name for classes in FORBIDDEN.values() for name in classes}
_NOTHING = Review(pairs=(), severity=NONE, action=NONE, allergy=NONE)


def _suspicious(opening: str, write: Write) -> Play:
    """Says that nothing interacts, and that the first drug of a class that an allergy may forbid is forbidden."""
    patient = patient_of(opening)
    read, _ = yield from _read(patient, write)
    forbidden = [drug for drug, (drug_class, _) in read.items() if drug_class in _SUSPECTS]
    yield _submit(patient, msgspec.structs.replace(_NOTHING, allergy=(*forbidden, NONE)[0]), write)


def _constant(reads: bool, severity: str, opening: str, write: Write) -> Play:
    """Says the same of every list; of a severity, with the first two drugs that were read."""
    patient = patient_of(opening)
    pairs: tuple[str, ...] = ()
    if reads:
        read, _ = yield from _read(patient, write)
        pairs = ("+".join(sorted(list(read)[:2])),)
    said = _NOTHING if severity == NONE else Review(pairs=pairs, severity=severity, action=AVOID, allergy=NONE)
    yield _submit(patient, said, write)


BLIND: Mapping[str, Plan] = {
    "nothing interacts": partial(_constant, False, NONE),
    "reads, nothing interacts": partial(_constant, True, NONE),
    "reads, nothing interacts, the first suspect is forbidden": _suspicious,
    "reads, the first two are contraindicated": partial(_constant, True, CONTRAINDICATED),
    "reads, the first two are major": partial(_constant, True, MAJOR),
}
