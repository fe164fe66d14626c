"""A stay as the JSON of a task shows it, and the times that a request names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from envs.clinic_checker.scores.numbers import exact

Raw = Mapping[str, Any]
_TIME = re.compile(r"day (\d+) (\d\d):(\d\d)")
_PER_MG = {"creatinine": Fraction(884, 10), "bilirubin": Fraction(171, 10)}
_PLAIN = {
    "pao2": "mmHg",
    "fio2": "%",
    "platelets": "10^3/uL",
    "sodium": "mmol/L",
    "potassium": "mmol/L",
    "lactate": "mmol/L",
    "calcium": "mg/dL",
    "magnesium": "mg/dL",
    "troponin": "ng/L",
}


class Row(NamedTuple):
    """A recorded value; mg/dL where the laboratory gave umol/L, to a tenth."""

    t_min: int
    value: Fraction


class Stay(NamedTuple):
    """The patient and the rows of one stay, by code, oldest first."""

    patient: Raw
    rows: Mapping[str, Sequence[Row]]
    documents: Sequence[Raw]

    @property
    def age(self) -> int:
        """Completed years."""
        return int(self.patient["age_months"]) // 12

    def between(self, code: str, first: int, last: int) -> list[Row]:
        """Rows of a code, both ends included."""
        return [row for row in self.rows.get(code, ()) if not (row.t_min < first or row.t_min > last)]

    def until(self, code: str, last: int) -> Row:
        """The newest row at or before a time. Raises ValueError where there is none."""
        known = self.between(code, 0, last)
        if not known:
            raise ValueError(f"no {code} is recorded up to minute {last}")
        return known[-1]


def stay_of(context: Raw, request: str) -> tuple[str, Stay]:
    """The stay that a request names last, and its name. Raises ValueError where the world has no such stay, or another
    patient's rows."""
    names = re.findall(r"\bH\d+\b", request)
    world = context["world"]
    stays = {one["hadm_id"]: one for one in world["admissions"]}
    patients = {one["patient_id"]: one for one in world["patients"]}
    if not names or names[-1] not in stays or stays[names[-1]]["patient_id"] not in patients:
        raise ValueError(f"the request is about {names or 'no stay'}, the world has {sorted(stays)}")
    patient = patients[stays[names[-1]]["patient_id"]]
    rows: dict[str, list[Row]] = {}
    for one in sorted(patient["readings"], key=lambda one: int(one["t_min"])):
        if one["hadm_id"] != names[-1]:
            raise ValueError(f"a row of the stay {one['hadm_id']!r}")
        if one["t_min"] <= world["clock_min"]:
            rows.setdefault(one["code"], []).append(Row(one["t_min"], _value(one)))
    documents = [one for one in world["documents"] if one["patient_id"] == patient["patient_id"]]
    return names[-1], Stay(patient, rows, documents)


def _value(row: Raw) -> Fraction:
    code, unit, value = row["code"], row["unit"], exact(row["value"])
    if code in _PER_MG:
        if unit == "umol/L":
            return Fraction(round(10 * value / _PER_MG[code]), 10)
        if unit != "mg/dL":
            raise ValueError(f"{code} in {unit}")
    elif code in _PLAIN and unit != _PLAIN[code]:
        raise ValueError(f"{code} in {unit}")
    return value


def times(request: str) -> list[int]:
    """The times of a request in minutes, day 1 00:00 being 0."""
    return [24 * 60 * (int(day) - 1) + 60 * int(hour) + int(minutes) for day, hour, minutes in _TIME.findall(request)]
