"""Scores from the rows of a stay, by the checker's own scores."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from envs.clinic_checker.chart.stay import Row, Stay, times
from envs.clinic_checker.scores.numbers import Found, exact
from envs.clinic_checker.scores.table import FOUND

DAY, HOUR = 1440, 60
_NONE: dict[str, Any] = {"ventilated": False, "pressor": "none"}
_SINGLE = {
    "platelets": "platelets_k_ul",
    "bilirubin": "bilirubin_mg_dl",
    "gcs": "gcs",
    "creatinine": "creatinine_mg_dl",
}
_PRESSORS = ("dobutamine", "dopamine", "epinephrine", "norepinephrine")
_WORDS = ("alert", "confusion", "voice", "pain", "unresponsive")
_SET = ("rr", "spo2", "oxygen", "sbp", "pulse", "temp", "consciousness")


def points(name: str, inputs: dict[str, Any]) -> Fraction:
    """The value of a score."""
    found: Found = FOUND[name](inputs)
    return Fraction(found[0])


def plain(value: Fraction) -> int | float:
    """As JSON would write it."""
    return int(value) if value.denominator == 1 else float(value)


def sofa(stay: Stay, request: str) -> Fraction:
    """Part by part: the most points of any row in the 24 hours."""
    (end,) = times(request)
    first = end - DAY
    parts = [
        max((_alone(name, row) for row in stay.between(code, first, end)), default=Fraction(0))
        for code, name in _SINGLE.items()
    ]
    circulation = [_alone("map_mmhg", row) for row in stay.between("map", first, end)]
    for drug in _PRESSORS:
        running = stay.between(drug, first, end)
        circulation += [
            points("sofa", {"ventilated": False, "pressor": drug, "dose_ug_kg_min": plain(row.value)})
            for row in running
        ]
    return sum(parts, Fraction(0)) + max(circulation, default=Fraction(0)) + _breathing(stay, first, end)


def _alone(name: str, row: Row) -> Fraction:
    return points("sofa", {**_NONE, name: plain(row.value)})


def _breathing(stay: Stay, first: int, end: int) -> Fraction:
    found = Fraction(0)
    for gas in stay.between("pao2", first, end):
        (oxygen,) = stay.between("fio2", gas.t_min, gas.t_min)
        (support,) = stay.between("ventilated", gas.t_min, gas.t_min)
        ratio = float(100 * gas.value / oxygen.value)
        given = {"pressor": "none", "ventilated": support.value == 1, "pf_ratio_mmhg": ratio}
        found = max(found, points("sofa", given))
    return found


def news2(stay: Stay, request: str) -> Fraction:
    """The newest time at which all seven were observed."""
    (asked,) = times(request)
    by_time: dict[int, dict[str, Fraction]] = {}
    for code in _SET:
        for row in stay.between(code, 0, asked):
            by_time.setdefault(row.t_min, {})[code] = row.value
    seen = by_time[max(t_min for t_min, values in by_time.items() if len(values) == len(_SET))]
    hypercapnic = any(one["code"] == "J96.12" for one in stay.patient["problems"])
    return points(
        "news2",
        {
            "rr": int(seen["rr"]),
            "spo2_percent": int(seen["spo2"]),
            "scale": 2 if hypercapnic else 1,
            "oxygen": seen["oxygen"] == 1,
            "sbp_mmhg": int(seen["sbp"]),
            "pulse": int(seen["pulse"]),
            "avpu": _WORDS[int(seen["consciousness"])],
            "temp_c": float(seen["temp"]),
        },
    )


def grace(stay: Stay, request: str) -> Fraction:
    """First values of the stay, and the admission note."""
    (note,) = [one["text"] for one in stay.documents if one["kind"] == "admission"]
    killip, deviation, arrest = re.findall(r"class (I+V?)\b|deviation: (\w+)|arrival: (\w+)", note)
    first = {code: stay.rows[code][0].value for code in ("pulse", "sbp", "creatinine", "troponin")}
    return points(
        "grace",
        {
            "age": stay.age,
            "pulse": int(first["pulse"]),
            "sbp_mmhg": int(first["sbp"]),
            "creatinine_mg_dl": float(first["creatinine"]),
            "killip": {"I": 1, "II": 2, "III": 3, "IV": 4}[killip[0]],
            "arrest": {"yes": True, "no": False}[arrest[2]],
            "st_deviation": {"yes": True, "no": False}[deviation[1]],
            "raised_enzymes": first["troponin"] > 14,
        },
    )


def kdigo(stay: Stay, request: str) -> Fraction:
    """Baseline of 7 days, rise in 48 hours, urine of two rows of six hours."""
    (at,) = times(request)
    week = [row.value for row in stay.between("creatinine", at - 7 * DAY, at)]
    days = [row.value for row in stay.between("creatinine", at - 2 * DAY, at)]
    rise = week[-1] - min(days) if days else Fraction(0)
    volume = sum(row.value for row in stay.between("urine", 0, at)[-2:])
    return points(
        "kdigo",
        {
            "baseline_mg_dl": float(min(week)),
            "current_mg_dl": float(week[-1]),
            "rise_48h_mg_dl": float(rise),
            "dialysis": False,
            "urine_ml_kg_h": float(volume / exact(stay.patient["weight_kg"]) / 12),
            "urine_hours": 12,
        },
    )


def filtration(stay: Stay, at: int) -> Fraction:
    """The eGFR by the newest creatinine."""
    creatinine = float(stay.until("creatinine", at).value)
    return points("egfr", {"creatinine_mg_dl": creatinine, "age": stay.age, "sex": stay.patient["sex"]})


def egfr(stay: Stay, request: str) -> Fraction:
    """As a whole number. Raises ValueError where it is near to a half."""
    (at,) = times(request)
    return whole(filtration(stay, at))


def whole(value: Fraction) -> Fraction:
    """The nearest whole number. Raises ValueError within 0.05 of a half."""
    if abs(value % 1 - Fraction(1, 2)) < Fraction(1, 20):
        raise ValueError(f"{float(value)} may be rounded either way")
    return Fraction(round(value))
