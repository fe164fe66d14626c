"""GRACE in hospital, from what was recorded at arrival."""

from __future__ import annotations

import random
import re
from typing import Any

from envs.clinic.chart.chart import Chart
from envs.clinic.chart.facts import Facts, add, add_mg_dl, blank, changes, changes_mg_dl
from envs.clinic.chart.family import Answer, Family, Question
from envs.clinic.chart.names import LABS, NOTES, STAY, VITALS
from envs.clinic.chart.texts import HOUR
from envs.clinic.scores.heart import GRACE

ADMISSION_NOTE, ROUND_NOTE = "admission", "ward_round"
TROPONIN_LIMIT = 14
KILLIP = ("I", "II", "III", "IV")
_NOTE = re.compile(r"Killip class (I{1,3}|IV)\. ST deviation: (yes|no)\. Cardiac arrest at arrival: (yes|no)\.")
_PULSE = ((52, 69), (70, 89), (90, 109), (110, 149), (150, 170))
_SBP = ((82, 99), (100, 119), (120, 139), (140, 159), (160, 199), (200, 220))
_CREATININE = (0.6, 1.0, 1.4, 1.8, 2.6, 3.4)


class Grace(Family):
    """See the module."""

    name = "grace"
    reads = (STAY, LABS, VITALS, NOTES)
    rules = (
        "GRACE (in-hospital death): of pulse, sbp, creatinine and troponin take the first value of the stay, of the "
        "rest the "
        f"admission note. Troponin is raised above {TROPONIN_LIMIT} ng/L. 1 mg/dL of creatinine is 88.4 umol/L; "
        f"round to one decimal."
    )

    def draw(self, rng: random.Random) -> Facts:
        """First values, later ones of other ranges, an admission note and a later one that says otherwise."""
        facts = blank(self.name, rng, days=1)
        facts["age"] = rng.choice([age for age in range(35, 93) if age not in (30, 90)])
        start = facts["start_min"]
        first = start + rng.randrange(5, 40, 5)
        pulse = add(facts, first, "pulse", _in(rng.choice(_PULSE), rng))
        sbp = add(facts, first, "sbp", _in(rng.choice(_SBP), rng))
        creatinine = add_mg_dl(facts, rng, first + 30, "creatinine", rng.choice(_CREATININE))
        troponin = add(facts, first + 30, "troponin", rng.choice((_in((3, 13), rng), _in((16, 300), rng))))
        for hours in (4, 9):
            add(facts, first + hours * HOUR, "pulse", _in(rng.choice(_PULSE), rng))
            add(facts, first + hours * HOUR, "sbp", _in(rng.choice(_SBP), rng))
            add_mg_dl(facts, rng, first + 30 + hours * HOUR, "creatinine", rng.choice(_CREATININE))
            add(facts, first + 30 + hours * HOUR, "troponin", rng.choice((_in((3, 13), rng), _in((16, 900), rng))))
        facts["notes"] = [[first + 20, ADMISSION_NOTE, _note(rng)], [first + 8 * HOUR, ROUND_NOTE, _note(rng)]]
        _twin(facts, rng, {"pulse": pulse, "sbp": sbp, "creatinine": creatinine, "troponin": troponin})
        return facts

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return f"What is the GRACE score of {hadm_id} at admission? Submit the points."

    def heard(self, request: str) -> Question:
        """See `Family`."""
        return {}

    def solve(self, chart: Chart, question: Question) -> Answer:
        """See `Family`."""
        return Answer(value=GRACE(_inputs(chart, 0)).value)

    def careless(self, chart: Chart, question: Question) -> Answer:
        """Takes the newest of all."""
        return Answer(value=GRACE(_inputs(chart, -1)).value)

    def calculator(self, chart: Chart, question: Question) -> tuple[str, dict[str, Any]]:
        """See `Family`."""
        return GRACE.name, _inputs(chart, 0)


def _inputs(chart: Chart, place: int) -> dict[str, Any]:
    kind = ADMISSION_NOTE if place == 0 else ROUND_NOTE
    found = next(match for note, text in chart.notes if note == kind and (match := _NOTE.search(text)))
    return {
        "age": chart.age,
        "pulse": int(chart.of("pulse")[place].value),
        "sbp_mmhg": int(chart.of("sbp")[place].value),
        "creatinine_mg_dl": chart.mg_dl("creatinine")[place],
        "killip": KILLIP.index(found[1]) + 1,
        "arrest": found[3] == "yes",
        "st_deviation": found[2] == "yes",
        "raised_enzymes": chart.of("troponin")[place].value > TROPONIN_LIMIT,
    }


def _note(rng: random.Random) -> str:
    killip = rng.choice(KILLIP)
    st, arrest = rng.choice(("yes", "no")), "yes" if rng.random() < 0.2 else "no"
    return f"Killip class {killip}. ST deviation: {st}. Cardiac arrest at arrival: {arrest}."


def _in(limits: tuple[int, int], rng: random.Random) -> int:
    return rng.randint(*limits)


def _twin(facts: Facts, rng: random.Random, places: dict[str, int]) -> None:
    changed = rng.choice((*places, "note"))
    if changed == "note":
        changes(facts, ["notes", 0, 2], _note(rng))
    elif changed == "creatinine":
        changes_mg_dl(facts, places[changed], rng.choice(_CREATININE))
    elif changed == "troponin":
        raised = facts["rows"][places[changed]][2] > TROPONIN_LIMIT
        changes(facts, ["rows", places[changed], 2], 13 if raised else 15)
    else:
        changes(facts, ["rows", places[changed], 2], _in(rng.choice({"pulse": _PULSE, "sbp": _SBP}[changed]), rng))
