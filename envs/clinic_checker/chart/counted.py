"""Doses, reconciliation, trends, coding and times from the rows of a stay. The tables were entered a second time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from envs.clinic_checker.chart.scored import filtration, points, whole
from envs.clinic_checker.chart.stay import Stay, times
from envs.clinic_checker.scores.numbers import exact

# US labels, section 2: mg in a day for clearances above the number, the highest first; enoxaparin for each kg.
_DAILY: Mapping[str, tuple[tuple[int, int], ...]] = {
    "meropenem": ((50, 3000), (26, 2000), (10, 1000), (0, 500)),
    "piperacillin_tazobactam": ((40, 13500), (20, 9000), (0, 6750)),
    "rivaroxaban": ((50, 20), (15, 15)),
    "dabigatran": ((30, 300), (15, 150)),
    "enoxaparin": ((30, 2), (0, 1)),
}
_ALLERGIES = {
    "amoxicillin": "penicillins",
    "penicillin_v": "penicillins",
    "sulfamethoxazole_trimethoprim": "sulfonamide antibiotics",
    "cephalexin": "cephalosporins",
    "cefuroxime": "cephalosporins",
    "azithromycin": "macrolides",
    "clarithromycin": "macrolides",
}
_RENAL = frozenset({"metformin", "ibuprofen", "naproxen"})
_POTASSIUM = frozenset({"spironolactone", "potassium_chloride"})
_ANTIBIOTICS = frozenset({"ceftriaxone", "cefepime", "vancomycin", "meropenem", "piperacillin_tazobactam"})
_CODES = (
    ("sodium", Fraction(135), Fraction(145), "E87.1", "E87.0"),
    ("potassium", Fraction(7, 2), Fraction(5), "E87.6", "E87.5"),
    ("calcium", Fraction(17, 2), Fraction(21, 2), "E83.51", "E83.52"),
    ("magnesium", Fraction(17, 10), Fraction(12, 5), "E83.42", "E83.41"),
)
Lists = dict[str, list[str]]


def dose(stay: Stay, request: str) -> Fraction:
    """mg in 24 hours. Raises ValueError for a clearance within 1 mL/min of a limit."""
    (at,) = times(request)
    (drug,) = re.findall(r"dose of (\w+)", request)
    weight = stay.patient["weight_kg"]
    clearance = points(
        "crcl",
        {
            "creatinine_mg_dl": float(stay.until("creatinine", at).value),
            "age": stay.age,
            "weight_kg": weight,
            "sex": stay.patient["sex"],
        },
    )
    if any(abs(clearance - limit) < 1 for limit, _ in _DAILY[drug]):
        raise ValueError(f"a clearance of {float(clearance)} is near to a limit of {drug}")
    daily = next(mg for limit, mg in _DAILY[drug] if clearance > limit)
    return daily * (exact(weight) if drug == "enoxaparin" else Fraction(1))


def reconciliation(stay: Stay) -> tuple[Fraction, Lists, bool]:
    """How many drugs go home, the lists, and whether a drug of home is one that the patient is allergic to."""
    orders = [one for one in stay.patient["medications"] if one["hadm_id"]]
    home = [one["drug"] for one in stay.patient["medications"] if not one["hadm_id"]]
    allergies = {one["substance"] for one in stay.patient["allergies"]}
    low = filtration(stay, 10**9) < 30
    high = stay.until("potassium", 10**9).value > Fraction(11, 2)
    allergens = {drug for drug in home if _ALLERGIES.get(drug) in allergies}
    stopped = {drug for drug in home if drug in allergens or (low and drug in _RENAL) or (high and drug in _POTASSIUM)}
    added = {one["drug"] for one in orders if one["stop_min"] is None and one["drug"] not in home}
    kept = [drug for drug in home if drug not in stopped]
    lists = {"keep": sorted(kept), "stop": sorted(stopped), "add": sorted(added)}
    return Fraction(len(kept) + len(added)), lists, bool(allergens)


def lactate(stay: Stay, request: str) -> Fraction:
    """Percent, as a whole number."""
    rows = stay.between("lactate", *times(request))
    return whole(100 - 100 * rows[-1].value / rows[0].value)


def balance(stay: Stay, request: str) -> Fraction:
    """mL in less mL out."""
    signs = {"oral": 1, "infused": 1, "urine": -1, "drain": -1}
    first, last = times(request)
    return sum(
        (sign * row.value for code, sign in signs.items() for row in stay.between(code, first, last)), Fraction(0)
    )


def sodium(stay: Stay, request: str) -> Fraction:
    """The largest rise above the lowest value so far."""
    lowest, largest = None, Fraction(0)
    for row in stay.between("sodium", *times(request)):
        lowest = row.value if lowest is None else min(lowest, row.value)
        largest = max(largest, row.value - lowest)
    return largest


def coding(stay: Stay, request: str) -> str:
    """The code of the only disturbance. Raises ValueError where there is another number of them."""
    (at,) = times(request)
    found = []
    for name, low, high, below, above in _CODES:
        value = stay.until(name, at).value
        found += [below] if value < low else [above] if value > high else []
    if len(found) != 1:
        raise ValueError(f"the values at the time are those of {found}")
    return found[0]


def antibiotic(stay: Stay) -> Fraction:
    """Minutes from the first lactate above 2 to the next antibiotic."""
    raised = min(row.t_min for row in stay.rows["lactate"] if row.value > 2)
    given = [_begun(one) for one in stay.patient["medications"] if one["hadm_id"] and one["drug"] in _ANTIBIOTICS]
    return Fraction(min(minute for minute in given if minute >= raised) - raised)


def _begun(order: Mapping[str, Any]) -> int:
    return int(order["start_min"])
