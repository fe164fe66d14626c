"""Kidney function at a time: eGFR, or the daily dose that a drug's label gives for the creatinine clearance."""

from __future__ import annotations

import random
import re
from typing import Any

from envs.clinic.chart.chart import Chart
from envs.clinic.chart.facts import Facts, add_mg_dl, blank, changes_mg_dl
from envs.clinic.chart.family import Answer, Family, Question
from envs.clinic.chart.labels import LABELS, daily_mg
from envs.clinic.chart.names import DOSES, LABS, STAY
from envs.clinic.chart.texts import DAY, HOUR, MOMENT, minute, moment
from envs.clinic.scores.kidney import CRCL, EGFR

_AT = re.compile(rf"at {MOMENT}")
_DRUG = re.compile(r"daily dose of ([a-z_]+) for")
_LEVELS = (0.7, 0.9, 1.1, 1.4, 1.8, 2.3, 2.9, 3.6, 4.8)
_NEAR_ML_MIN = 1.0
_NEAR_HALF = 0.1
_CREATININE_RULE = (
    "Take the last creatinine at or before the time. 1 mg/dL of creatinine is 88.4 umol/L; round to one decimal."
)


def _draw(name: str, rng: random.Random) -> Facts:
    """Three values, of which the second is the last one at the time; the twin has another second one."""
    facts = blank(name, rng)
    at = 2 * DAY + rng.randrange(2, 11) * HOUR
    facts["question"] = {"at": at}
    before, used, after, other = rng.sample(_LEVELS, 4)
    add_mg_dl(facts, rng, at - DAY, "creatinine", before)
    place = add_mg_dl(facts, rng, at - rng.choice((0, 45, 120)), "creatinine", used)
    add_mg_dl(facts, rng, at + rng.choice((30, 90)), "creatinine", after)
    changes_mg_dl(facts, place, other)
    return facts


def _at(request: str) -> int:
    found = _AT.search(request)
    assert found is not None, request
    return minute(*found.groups())


def _kidney(chart: Chart, at: int | None) -> dict[str, Any]:
    return {"creatinine_mg_dl": chart.mg_dl("creatinine", 0, at)[-1], "age": chart.age, "sex": chart.sex}


class Filtration(Family):
    """The eGFR."""

    name = "egfr"
    reads = (STAY, LABS)
    rules = f"eGFR by CKD-EPI 2021. {_CREATININE_RULE}"

    def draw(self, rng: random.Random) -> Facts:
        """See `Family`."""
        return _draw(self.name, rng)

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return f"What is the eGFR of {hadm_id} at {moment(question['at'])}, in mL/min/1.73 m2? Submit a whole number."

    def heard(self, request: str) -> Question:
        """See `Family`."""
        return {"at": _at(request)}

    def solve(self, chart: Chart, question: Question) -> Answer:
        """Raises ValueError where rounding could go either way."""
        return self._answer(_kidney(chart, question["at"]))

    def careless(self, chart: Chart, question: Question) -> Answer:
        """Takes the newest creatinine."""
        return Answer(value=round(EGFR(_kidney(chart, None)).value))

    def calculator(self, chart: Chart, question: Question) -> tuple[str, dict[str, Any]]:
        """See `Family`."""
        return EGFR.name, _kidney(chart, question["at"])

    @staticmethod
    def _answer(given: dict[str, Any]) -> Answer:
        value = EGFR(given).value
        if abs(value % 1 - 0.5) < _NEAR_HALF:
            raise ValueError(f"an eGFR of {value} is too near to a half")
        return Answer(value=round(value))


class Dose(Family):
    """The daily dose."""

    name = "dose"
    reads = (STAY, LABS, DOSES)
    careless_hits = 1
    rules = (
        f"Dose by creatinine clearance (Cockcroft-Gault, weight as recorded) and the drug's table. {_CREATININE_RULE}"
    )

    def draw(self, rng: random.Random) -> Facts:
        """See `Family`."""
        facts = _draw(self.name, rng)
        facts["question"]["drug"] = rng.choice(tuple(LABELS))
        return facts

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return (
            f"What is the daily dose of {question['drug']} for {hadm_id} at {moment(question['at'])}? "
            "Submit mg in 24 hours."
        )

    def heard(self, request: str) -> Question:
        """See `Family`."""
        found = _DRUG.search(request)
        assert found is not None, request
        return {"at": _at(request), "drug": found[1]}

    def solve(self, chart: Chart, question: Question) -> Answer:
        """Raises ValueError for a clearance too near to a limit of the table."""
        clearance = CRCL({**_kidney(chart, question["at"]), "weight_kg": chart.weight_kg}).value
        label = LABELS[question["drug"]]
        if clearance < label.least_ml_min or any(
            abs(clearance - one.from_ml_min) < _NEAR_ML_MIN for one in label.steps
        ):
            raise ValueError(f"a clearance of {clearance} is not one that the table decides")
        dose = daily_mg(label, clearance, chart.weight_kg)
        return Answer(value=dose, most=dose)

    def careless(self, chart: Chart, question: Question) -> Answer:
        """Takes the newest creatinine."""
        clearance = CRCL({**_kidney(chart, None), "weight_kg": chart.weight_kg}).value
        return Answer(value=daily_mg(LABELS[question["drug"]], clearance, chart.weight_kg))

    def calculator(self, chart: Chart, question: Question) -> tuple[str, dict[str, Any]]:
        """See `Family`."""
        return CRCL.name, {**_kidney(chart, question["at"]), "weight_kg": chart.weight_kg}
