"""The Emergency Severity Index, version 4, as a decision tree over coded findings.

Source of all of it: Gilboy N, Tanabe P, Travers D, Rosenau AM. Emergency Severity Index (ESI): A Triage Tool for
Emergency Department Care, Version 4. Implementation Handbook 2012 Edition. AHRQ Publication 12-0014. Two choices are
the department's own, and its rules say so: the handbook asks the nurse to consider level 2 at point D, here a vital
sign in the danger zone always means level 2; and a fever is 38.0 degrees or more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from common.records import Record

LEVELS = (1, 2, 3, 4, 5)
MANY = 2
"""Resources from which point D decides."""
LIFE_SPO2, DANGER_SPO2 = 90, 92
"""Oxygen saturation, percent: below the first, point A; below the second, the danger zone."""
FEVER = 38.0
"""Degrees Celsius."""


class Zone(NamedTuple):
    """Upper limits of the vital signs of an age band, `below_months` exclusive; above them is the danger zone."""

    below_months: int
    pulse: int
    resp_rate: int


ZONES = (Zone(3, 180, 50), Zone(36, 160, 40), Zone(96, 140, 30), Zone(12 * 150, 100, 20))
"""Under 3 months, to 3 years, to 8 years, older. At exactly 3 and 8 years the handbook's bands meet: no such patient is
made."""

KINDS: dict[str, tuple[str, int]] = {
    "blood count": ("laboratory", 1),
    "electrolytes": ("laboratory", 1),
    "urinalysis": ("laboratory", 1),
    "chest x-ray": ("x-ray", 1),
    "abdominal x-ray": ("x-ray", 1),
    "CT of the head": ("CT", 1),
    "ultrasound of the abdomen": ("ultrasound", 1),
    "intravenous fluids": ("fluids", 1),
    "intravenous antibiotic": ("medication", 1),
    "intramuscular analgesic": ("medication", 1),
    "nebulised salbutamol": ("medication", 1),
    "specialist consultation": ("consultation", 1),
    "suture of a cut": ("simple procedure", 1),
    "urinary catheter": ("simple procedure", 1),
    "joint reduction under sedation": ("complex procedure", 2),
    "oral paracetamol": ("", 0),
    "tetanus immunisation": ("", 0),
    "point-of-care glucose test": ("", 0),
    "saline lock": ("", 0),
    "wound dressing": ("", 0),
    "splint": ("", 0),
    "crutches": ("", 0),
    "prescription refill": ("", 0),
    "phone call to the family doctor": ("", 0),
}
"""By item of care: its kind, empty where it is no resource, and how many resources the kind counts. Each kind counts
once, however many items it has."""


class Findings(Record):
    """What decides. `immediate`: point A by looking; `flags`: what of point B is true; `care`: items of KINDS."""

    age_months: int
    pulse: float
    resp_rate: float
    spo2: float
    temp: float
    immediate: bool = False
    flags: frozenset[str] = frozenset()
    care: tuple[str, ...] = ()


class Decision(NamedTuple):
    """A level, and the point of the tree that decides it."""

    level: int
    point: str


CHEMO = "chemotherapy"
"""The flag that counts only with a fever."""


def resources(care: Iterable[str]) -> int:
    """How many resources these items are."""
    return sum(count for _, count in {KINDS[item] for item in care})


def zone(age_months: int) -> Zone:
    """The limits of an age."""
    return next(one for one in ZONES if age_months < one.below_months)


def in_danger(found: Findings) -> bool:
    """Whether a vital sign is in the danger zone."""
    limits = zone(found.age_months)
    return found.pulse > limits.pulse or found.resp_rate > limits.resp_rate or found.spo2 < DANGER_SPO2


def decide(found: Findings) -> Decision:
    """The first point that applies."""
    if found.immediate or found.spo2 < LIFE_SPO2:
        return Decision(1, "A")
    if found.flags - {CHEMO} or (CHEMO in found.flags and found.temp >= FEVER):
        return Decision(2, "B")
    count = resources(found.care)
    if count < MANY:
        return Decision(5 - count, "C")
    return Decision(2 if in_danger(found) else 3, "D")
