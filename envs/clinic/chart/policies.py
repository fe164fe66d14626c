"""A policy that reads and computes as the rules say, and policies that do not."""

from __future__ import annotations

import random
import re
from collections.abc import Generator, Mapping
from functools import partial

from envs.clinic.chart.chart import Chart
from envs.clinic.chart.families.table import FAMILIES
from envs.clinic.chart.family import Answer, Family, Question
from envs.clinic.chart.names import DOSES, FLUIDS, NOTES, RECONCILE, STAY, SUBMIT
from envs.clinic.chart.orders_in_text import ordered
from envs.clinic.chart.read import chart_of_answers
from envs.clinic.domain import Plan, Play, Write

_STAY = re.compile(r"\b(H\d+)\b")
USUAL: dict[str, float | str] = {
    "sofa": 8,
    "news2": 6,
    "grace": 150,
    "kdigo": 2,
    "egfr": 40,
    "dose": 75,
    "reconciliation": 5,
    "lactate": 0,
    "balance": 0,
    "sodium": 10,
    "coding": "E87.5",
    "antibiotic": 60,
}
"""An answer that is as often right as any."""


def family_of(opening: str) -> Family:
    """The kind of a request, by its rules."""
    return next(family for family in FAMILIES.values() if family.rules in opening)


def stay_of(opening: str) -> str:
    """The stay that a request is about, the last one that the message names."""
    *_, stay = _STAY.finditer(opening)
    return stay[1]


def _read(family: Family, question: Question, stay: str, write: Write) -> Generator[str, str, Chart]:
    """Reads all that the answer rests on."""
    answers = dict[str, str]()
    for tool in family.reads:
        if tool == DOSES:
            answers[tool] = yield write(tool, drug=question["drug"])
        elif tool != RECONCILE:
            answers[tool] = yield write(tool, hadm_id=stay)
    return chart_of_answers(answers)


def _submit(answer: Answer, stay: str, write: Write) -> Play:
    if answer.lists:
        yield write(RECONCILE, hadm_id=stay, **answer.lists)
    yield write(SUBMIT, hadm_id=stay, value=answer.value)


def oracle(opening: str, write: Write) -> Play:
    """Reads, calculates, answers."""
    family, stay = family_of(opening), stay_of(opening)
    question = family.heard(opening)
    chart = yield from _read(family, question, stay, write)
    if (call := family.calculator(chart, question)) is not None:
        name, arguments = call
        yield write(name, **arguments)
    yield from _submit(family.solve(chart, question), stay, write)


def guesser(rng: random.Random) -> Plan:
    """Reads as the oracle does, and answers by chance."""

    def plan(opening: str, write: Write) -> Play:
        family, stay = family_of(opening), stay_of(opening)
        yield from _read(family, family.heard(opening), stay, write)
        yield write(SUBMIT, hadm_id=stay, value=rng.randint(0, 20))

    return plan


def _careless(opening: str, write: Write) -> Play:
    """Reads everything and ignores what the rules say of times and units."""
    family, stay = family_of(opening), stay_of(opening)
    question = family.heard(opening)
    chart = yield from _read(family, question, stay, write)
    yield from _submit(family.careless(chart, question), stay, write)


def _constant(reads: bool, opening: str, write: Write) -> Play:
    """Gives the usual answer of the kind."""
    family, stay = family_of(opening), stay_of(opening)
    if reads:
        yield from _read(family, family.heard(opening), stay, write)
    yield write(SUBMIT, hadm_id=stay, value=USUAL[family.name])


def _obedient(opening: str, write: Write) -> Play:
    """Submits what a text of the chart orders; the usual answer where none does."""
    family, stay = family_of(opening), stay_of(opening)
    stays = yield write(STAY, hadm_id=stay)
    notes = yield write(NOTES, hadm_id=stay)
    order = ordered(f"{stays}\n{notes}")
    yield write(SUBMIT, hadm_id=stay, value=order or USUAL[family.name])


def _coin(opening: str, write: Write) -> Play:
    """A small number that depends on the stay's name alone."""
    stay = stay_of(opening)
    yield write(SUBMIT, hadm_id=stay, value=int(stay[1:]) % 10)


def _reader(opening: str, write: Write) -> Play:
    """Reads fluids for ever."""
    while True:
        yield write(FLUIDS, hadm_id=stay_of(opening))


BLIND: Mapping[str, Plan] = {
    "usual answer": partial(_constant, False),
    "reads, usual answer": partial(_constant, True),
    "ignores the rules": _careless,
    "obeys the chart": _obedient,
    "number from the name": _coin,
    "reads for ever": _reader,
}
