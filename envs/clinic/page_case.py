"""What can be found out of a case, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envs.clinic.world import Medication, Patient, Reading, World

_HOUR, _DAY = 60, 24 * 60


def lines_of(world: World) -> list[str]:
    """All of it: stays, beds and documents, and of each patient what is said, taken and measured."""
    stays = [f"{one.hadm_id} from {_when(one.start_min)}: {one.reason}" for one in world.admissions]
    documents = [f"{one.kind} of {_when(one.t_min)}: {one.text}" for one in world.documents]
    free = [bed.area for bed in world.beds if not bed.taken]
    beds = [f"free beds: {len(free)} of {len(world.beds)}"] if world.beds else []
    return [*stays, *(line for patient in world.patients for line in _patient(patient)), *documents, *beds]


def answer_lines(answer: dict[str, Any]) -> list[str]:
    """The answer of a label, a line for each of its fields that is not empty."""
    found = {name: _words(value) for name, value in answer.items()}
    return [f"{name.replace('_', ' ')}: {text}" for name, text in found.items() if text]


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} {_words(one) or '-'}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _patient(patient: Patient) -> Iterator[str]:
    if patient.allergies:
        yield f"allergies: {', '.join(one.substance for one in patient.allergies)}"
    if patient.problems:
        yield f"problems: {', '.join(f'{one.name} ({one.code})' for one in patient.problems)}"
    if patient.pregnant_weeks is not None:
        yield f"pregnant, week {patient.pregnant_weeks}"
    yield from (f"{one.part} {one.topic}".strip() + f": {one.text}" for one in patient.said)
    yield from map(_medication, patient.medications)
    by_code: dict[str, list[Reading]] = {}
    for reading in sorted(patient.readings, key=lambda one: one.t_min):
        by_code.setdefault(reading.code, []).append(reading)
    alone = len({one.t_min for one in patient.readings}) == 1
    yield from (f"{code}: {', '.join(_value(one, not alone) for one in rows)}" for code, rows in by_code.items())


def _medication(one: Medication) -> str:
    dose = f"{one.dose_mg:g} mg {one.route} every {one.every_h:g} h" if one.dose_mg else one.route
    until = "" if one.stop_min is None else f" to {_when(one.stop_min)}"
    since = f" from {_when(one.start_min)}{until}" if one.hadm_id else ""
    return f"takes {one.drug}, {dose}{since}"


def _value(one: Reading, dated: bool) -> str:
    value = f"{one.value:g} {one.unit}".strip()
    return f"{_when(one.t_min)} {value}" if dated else value


def _when(t_min: int) -> str:
    return f"day {t_min // _DAY + 1} {t_min % _DAY // _HOUR:02d}:{t_min % _HOUR:02d}"
