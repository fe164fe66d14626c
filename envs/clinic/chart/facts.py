"""What a generator draws of a stay, JSON: rows, lists, the question, and the one fact in which its twin differs.

`make` lays the facts out as a world. Nothing is drawn there, so that a case is a pure function of its parameters.
"""

from __future__ import annotations

import random
from typing import Any

from envs.clinic.chart.chart import Chart, Order
from envs.clinic.chart.codes import CODES, MG_DL, UMOL_L, in_umol_l
from envs.clinic.chart.texts import DAY, HOUR, Row
from envs.clinic.world import MONTHS, Admission, Allergy, Document, Medication, Patient, Problem, Reading, World

Facts = dict[str, Any]
"""family, age, sex, weight_kg, height_cm, patient, hadm, start_min, clock_min, reason, rows [t_min, code, value, unit],
problems [code, name], allergies [substance, reaction], home and orders [drug, dose_mg, route, every_h, start_min,
stop_min], notes [t_min, kind, text], question (the family's own), twin {path, to}."""
REASONS = ("abdominal pain", "fever", "shortness of breath", "weakness", "fall", "vomiting", "chest pain", "back pain")


def blank(family: str, rng: random.Random, days: int = 3) -> Facts:
    """A stay of `days` without rows. The clock is in the morning of the day after."""
    start = rng.randrange(0, 12) * HOUR + rng.randrange(0, 60, 5)
    return {
        "family": family,
        "age": rng.randint(32, 88),
        "sex": rng.choice(("female", "male")),
        "weight_kg": float(rng.randint(50, 110)),
        "height_cm": float(rng.randint(150, 190)),
        "patient": f"P{rng.randint(100, 9999)}",
        "hadm": f"H{rng.randint(100, 9999)}",
        "start_min": start,
        "clock_min": days * DAY + 12 * HOUR,
        "reason": rng.choice(REASONS),
        "rows": [],
        "problems": [],
        "allergies": [],
        "home": [],
        "orders": [],
        "notes": [],
        "question": {},
    }


def add(facts: Facts, t_min: int, code: str, value: float, unit: str | None = None) -> int:
    """Adds a row and gives its place."""
    facts["rows"].append([t_min, code, value, CODES[code].unit if unit is None else unit])
    return len(facts["rows"]) - 1


def add_mg_dl(facts: Facts, rng: random.Random, t_min: int, code: str, mg_dl: float) -> int:
    """Adds a row that is as often in umol/L as in mg/dL."""
    unit = rng.choice((MG_DL, UMOL_L))
    return add(facts, t_min, code, mg_dl if unit == MG_DL else in_umol_l(code, mg_dl), unit)


def changes(facts: Facts, path: list[Any], to: Any) -> None:
    """The twin has `to` at this place."""
    facts["twin"] = {"path": path, "to": to}


def changes_mg_dl(facts: Facts, place: int, mg_dl: float) -> None:
    """The twin has this value in a row, in the row's unit."""
    _, code, _, unit = facts["rows"][place]
    changes(facts, ["rows", place, 2], mg_dl if unit == MG_DL else in_umol_l(code, mg_dl))


def of_twin(facts: Facts) -> Facts:
    """The facts of the twin; what it shares is not copied."""
    twin: Facts = _with(facts, facts["twin"]["path"], facts["twin"]["to"])
    return twin


def _with(holder: Any, path: list[Any], to: Any) -> Any:
    step, *rest = path
    changed = holder.copy()
    changed[step] = _with(holder[step], rest, to) if rest else to
    return changed


def world_of_facts(facts: Facts) -> World:
    """The world in which the facts are recorded; rows by time."""
    name, hadm = facts["patient"], facts["hadm"]
    patient = Patient(
        patient_id=name,
        age_months=facts["age"] * MONTHS + 6,
        sex=facts["sex"],
        weight_kg=facts["weight_kg"],
        height_cm=facts["height_cm"],
        allergies=tuple(Allergy(substance=substance, reaction=reaction) for substance, reaction in facts["allergies"]),
        problems=tuple(Problem(code=code, name=name) for code, name in facts["problems"]),
        medications=(
            *(_medication(row, "") for row in facts["home"]),
            *(_medication(row, hadm) for row in facts["orders"]),
        ),
        readings=tuple(
            Reading(t_min=t_min, code=code, value=value, unit=unit, hadm_id=hadm)
            for t_min, code, value, unit in sorted(facts["rows"], key=lambda row: (row[0], list(CODES).index(row[1])))
        ),
    )
    return World(
        clock_min=facts["clock_min"],
        patients=(patient,),
        admissions=(Admission(hadm_id=hadm, patient_id=name, start_min=facts["start_min"], reason=facts["reason"]),),
        documents=tuple(
            Document(doc_id=f"D{place}", kind=kind, t_min=t_min, text=text, patient_id=name)
            for place, (t_min, kind, text) in enumerate(facts["notes"], 1)
        ),
    )


def chart_of_facts(facts: Facts) -> Chart:
    """The chart that a reader of the world finds: rows up to now."""
    orders = (Order(drug=row[0], t_min=row[4], goes_on=row[5] is None) for row in facts["orders"])
    return Chart(
        age=facts["age"],
        sex=facts["sex"],
        weight_kg=facts["weight_kg"],
        start_min=facts["start_min"],
        problems=tuple(code for code, _ in facts["problems"]),
        allergies=tuple(substance for substance, _ in facts["allergies"]),
        home=tuple(row[0] for row in facts["home"]),
        orders=tuple(orders),
        notes=tuple((kind, text) for _, kind, text in facts["notes"]),
        rows=tuple(
            Row(t_min=t_min, code=code, value=value, unit=unit)
            for t_min, code, value, unit in facts["rows"]
            if t_min <= facts["clock_min"]
        ),
    )


def _medication(row: list[Any], hadm_id: str) -> Medication:
    drug, dose_mg, route, every_h, start_min, stop_min = row
    return Medication(
        drug=drug,
        dose_mg=dose_mg,
        route=route,
        every_h=every_h,
        start_min=start_min,
        stop_min=stop_min,
        hadm_id=hadm_id,
    )
