"""Coding and quality: the ICD-10-CM code of a disturbance, minutes from lactate to antibiotic."""

from __future__ import annotations

import random
import re

from envs.clinic.chart.chart import Chart
from envs.clinic.chart.facts import Facts, add, blank, changes
from envs.clinic.chart.family import Answer, Family, Question
from envs.clinic.chart.names import LABS, ORDERS
from envs.clinic.chart.texts import DAY, HOUR, MOMENT, minute, moment

RANGES = {"sodium": (135, 145), "potassium": (3.5, 5.0), "calcium": (8.5, 10.5), "magnesium": (1.7, 2.4)}
"""Reference ranges of these charts, usual ones of adults; laboratories differ, so the request states them."""
ICD = {
    ("sodium", "low"): "E87.1",
    ("sodium", "high"): "E87.0",
    ("potassium", "low"): "E87.6",
    ("potassium", "high"): "E87.5",
    ("calcium", "low"): "E83.51",
    ("calcium", "high"): "E83.52",
    ("magnesium", "low"): "E83.42",
    ("magnesium", "high"): "E83.41",
}
"""ICD-10-CM: hypo-osmolality and hyponatraemia, hyperosmolality and hypernatraemia, hypo-, hyperkalaemia,
hypo-, hypercalcaemia, hypo-, hypermagnesaemia."""
NAMES = {
    "E87.0": "Hyperosmolality and hypernatremia",
    "E87.1": "Hypo-osmolality and hyponatremia",
    "E87.5": "Hyperkalemia",
    "E87.6": "Hypokalemia",
    "E83.41": "Hypermagnesemia",
    "E83.42": "Hypomagnesemia",
    "E83.51": "Hypocalcemia",
    "E83.52": "Hypercalcemia",
    "N17.9": "Acute kidney failure, unspecified",
    "A41.9": "Sepsis, unspecified organism",
    "J96.12": "Chronic respiratory failure with hypercapnia",
}
"""ICD-10-CM titles as of CMS."""
ANTIBIOTICS = ("ceftriaxone", "cefepime", "vancomycin", "meropenem", "piperacillin_tazobactam")
_OTHERS = ("pantoprazole", "heparin", "furosemide", "acetaminophen", "insulin", "norepinephrine")
_DOSES = {
    "ceftriaxone": 2000,
    "cefepime": 2000,
    "vancomycin": 1500,
    "meropenem": 1000,
    "piperacillin_tazobactam": 4500,
    "pantoprazole": 40,
    "heparin": 50,
    "furosemide": 40,
    "acetaminophen": 1000,
    "insulin": 1,
    "norepinephrine": 4,
}
RAISED_LACTATE = 2.0
_AT = re.compile(rf"at {MOMENT}")


class Coding(Family):
    """The only value that is outside its range at the time."""

    name = "coding"
    reads = (LABS,)
    rules = (
        "Coding: take the last value of sodium, potassium, calcium and magnesium at or before the time. Reference "
        "ranges, ends "
        "included: " + ", ".join(f"{code} {low} to {high}" for code, (low, high) in RANGES.items()) + "."
    )

    def draw(self, rng: random.Random) -> Facts:
        """One value outside at the time, others outside before and after; the twin's is on the other side."""
        facts = blank(self.name, rng)
        at = DAY + rng.randrange(4, 20) * HOUR
        facts["question"] = {"at": at}
        chosen = rng.choice(tuple(RANGES))
        before, after = rng.choice(tuple(RANGES)), rng.choice(tuple(RANGES))
        place = 0
        for code in RANGES:
            out = rng.choice(("low", "high"))
            add(facts, at - 10 * HOUR, code, _value(code, out if code == before else "", rng))
            put = add(facts, at - rng.choice((0, 30, 120)), code, _value(code, out if code == chosen else "", rng))
            add(facts, at + 3 * HOUR, code, _value(code, out if code == after else "", rng))
            if code == chosen:
                place = put
                changes(facts, ["rows", place, 2], _value(code, "high" if out == "low" else "low", rng))
        return facts

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return (
            f"Which ICD-10-CM code has the disturbance that {hadm_id} has at {moment(question['at'])}? "
            "Submit the code, as in A41.9."
        )

    def heard(self, request: str) -> Question:
        """See `Family`."""
        found = _AT.search(request)
        assert found is not None, request
        return {"at": minute(*found.groups())}

    def solve(self, chart: Chart, question: Question) -> Answer:
        """Raises ValueError unless exactly one is outside."""
        found = _outside(chart, question["at"])
        if len(found) != 1:
            raise ValueError(f"outside: {found}")
        return Answer(value=found[0])

    def careless(self, chart: Chart, question: Question) -> Answer:
        """Takes the newest values."""
        found = _outside(chart, None)
        return Answer(value=found[0] if found else "")


def _outside(chart: Chart, at: int | None) -> list[str]:
    found = []
    for code, (low, high) in RANGES.items():
        value = chart.of(code, 0, at)[-1].value
        if not low <= value <= high:
            found.append(ICD[code, "low" if value < low else "high"])
    return found


def _value(code: str, out: str, rng: random.Random) -> float:
    """A value inside its range, its ends included, or just outside."""
    low, high = RANGES[code]
    scale = 1 if code == "sodium" else 10
    lowest, highest = round(low * scale), round(high * scale)
    bounds = {"low": (lowest - 5, lowest - 1), "high": (highest + 1, highest + 5)}.get(out, (lowest, highest))
    number = rng.randint(*bounds)
    return number if scale == 1 else number / scale


class Antibiotic(Family):
    """Minutes from recognition to the first antibiotic."""

    name = "antibiotic"
    reads = (LABS, ORDERS)
    rules = (
        f"Time to antibiotic: minutes from the first lactate of the stay above {RAISED_LACTATE:g} mmol/L to the "
        f"first antibiotic "
        "ordered at or after it."
    )

    def draw(self, rng: random.Random) -> Facts:
        """Two lactates below or at the limit, the raised one, a higher later one; orders of other drugs around."""
        facts = blank(self.name, rng, days=1)
        start = facts["start_min"]
        raised = start + 60 + rng.randrange(0, 60, 5)
        add(facts, start + 10, "lactate", rng.choice((0.9, 1.4, 2.0)))
        place = add(facts, start + 40, "lactate", rng.choice((1.2, 2.0)))
        add(facts, raised, "lactate", rng.randint(21, 60) / 10)
        add(facts, raised + 90, "lactate", rng.randint(40, 90) / 10)
        first, second = rng.sample(ANTIBIOTICS, 2)
        given = raised + rng.randrange(10, 200, 5)
        times = {first: given, second: given + rng.randrange(30, 120, 5)}
        times |= {drug: start + rng.randrange(45, 150, 5) for drug in rng.sample(_OTHERS, 3)}
        if rng.random() < 0.5:
            third = rng.choice([one for one in ANTIBIOTICS if one not in (first, second)])
            times[third] = start + rng.randrange(5, 35, 5)
        facts["orders"] = [[drug, _DOSES[drug], "iv", 24.0, t_min, None] for drug, t_min in times.items()]
        changes(facts, ["rows", place, 2], 2.1)
        return facts

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return (
            f"How many minutes passed in {hadm_id} between the raised lactate and the antibiotic? Submit the minutes."
        )

    def heard(self, request: str) -> Question:
        """See `Family`."""
        return {}

    def solve(self, chart: Chart, question: Question) -> Answer:
        """See `Family`."""
        raised = next(row.t_min for row in chart.of("lactate") if row.value > RAISED_LACTATE)
        return Answer(value=min(t_min for t_min in _given(chart) if t_min >= raised) - raised)

    def careless(self, chart: Chart, question: Question) -> Answer:
        """Counts from the highest lactate and takes any drug."""
        highest = max(chart.of("lactate"), key=lambda row: row.value).t_min
        return Answer(value=abs(min(one.t_min for one in chart.orders) - highest))


def _given(chart: Chart) -> list[int]:
    return [one.t_min for one in chart.orders if one.drug in ANTIBIOTICS]
