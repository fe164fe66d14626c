"""A triage case of the generator's parameters: its world, what is asked, and the answer by the rules."""

from __future__ import annotations

from typing import Any

from common.records import Record
from envs.clinic.domain import Case, Parameters, Truth
from envs.clinic.drugs import DRUGS
from envs.clinic.triage.esi import CHEMO, FEVER, LIFE_SPO2, Decision, Findings, decide, zone
from envs.clinic.triage.findings import (
    ALLERGIES,
    BY_TEXT,
    CARE,
    HISTORY,
    IMMEDIATE,
    PRESENTATION,
    STROKE,
    TOPICS,
    flags_of,
)
from envs.clinic.triage.generator import FIRST, chosen
from envs.clinic.world import MONTHS, Allergy, Bed, Course, Patient, Reading, Said, World, as_json

UNITS = {"pulse": "/min", "resp_rate": "/min", "sbp": "mmHg", "dbp": "mmHg", "spo2": "%", "temp": "C", "pain": "of 10"}
RESUSCITATION, ACUTE, WAITING, FAST = "resuscitation", "acute_bed", "waiting_room", "fast_track"
DISPOSITIONS = (RESUSCITATION, ACUTE, WAITING, FAST)
SURVEY_READ, VITALS_READ, CARE_READ = "primary_survey", "vitals", "expected_care"
"""What may have to be read: these tools, and `history:TOPIC`."""
TEAM_RESUSCITATION, TEAM_STROKE = "resuscitation", "stroke"
_BEDS = 3


class Answer(Record):
    """The truth: `needed` had to be read for it, `teams` are due, and in an `emergency` point A or B decides."""

    subject: str
    level: int
    point: str
    place: str
    needed: tuple[str, ...]
    teams: tuple[str, ...]
    emergency: bool


def made(tier: str, parameters: Parameters, twin: int) -> Case:
    """The case."""
    facts = chosen(parameters, twin)
    found = findings_of(facts)
    decision = decide(found)
    answer = Answer(
        subject=facts["patient"],
        level=decision.level,
        point=decision.point,
        place=place_of(decision.level, facts["free"]),
        needed=_needed(tier, facts, found, decision),
        teams=teams_of(decision.level, found.flags) if tier != FIRST else (),
        emergency=decision.point in "AB",
    )
    return Case(
        world=_world(facts),
        request=request_of(facts),
        truth=Truth(answer=as_json(answer), klass=f"level {decision.level}"),
    )


def findings_of(facts: dict[str, Any]) -> Findings:
    """What the tree needs to know of these facts."""
    flags = flags_of(list(facts["said"].values()))
    vitals = {name: facts["vitals"][name] for name in ("pulse", "resp_rate", "spo2", "temp")}
    return Findings(
        age_months=facts["months"],
        immediate=IMMEDIATE in flags,
        flags=flags - {IMMEDIATE},
        care=tuple(facts["care"]),
        **vitals,
    )


def place_of(level: int, free: int) -> str:
    """Where the department's rules put a level, with that many acute beds free."""
    if level == 3:
        return ACUTE if free else WAITING
    return {1: RESUSCITATION, 2: ACUTE}.get(level, FAST)


def teams_of(level: int, flags: frozenset[str]) -> tuple[str, ...]:
    """Who must be called before the answer."""
    if level == 1:
        return (TEAM_RESUSCITATION,)
    return (TEAM_STROKE,) if STROKE in flags else ()


def _needed(tier: str, facts: dict[str, Any], found: Findings, decision: Decision) -> tuple[str, ...]:
    """What must be read to know that this point applies, and none before it."""
    seen = (SURVEY_READ,) if tier == FIRST else (SURVEY_READ, VITALS_READ)
    if decision.point == "A":
        return (SURVEY_READ,) if found.immediate else seen
    if decision.point == "B":
        return (*seen, *_telling(facts))
    topics = () if tier == FIRST else tuple(f"history:{topic}" for topic in TOPICS if topic != ALLERGIES)
    return (*seen, *topics, CARE_READ)


def _telling(facts: dict[str, Any]) -> tuple[str, ...]:
    """The part of the history that holds the sign, if a part does."""
    for place, text in facts["said"].items():
        part, topic = place.split("/")
        flag = BY_TEXT.get(text)
        if part == HISTORY and flag and (flag != CHEMO or facts["vitals"]["temp"] >= FEVER):
            return (f"history:{topic}",)
    return ()


def age_of(months: int) -> str:
    """An age in words."""
    return f"{months} months" if months < 3 * MONTHS else f"{months // MONTHS} years"


def request_of(facts: dict[str, Any]) -> str:
    """What the policy is asked."""
    sex = "female" if facts["sex"] == "F" else "male"
    return f"Patient {facts['patient']}: {sex}, {age_of(facts['months'])}, {facts['complaint']}."


def _world(facts: dict[str, Any]) -> World:
    start, allergy = facts["start"], facts["allergy"]
    said = [
        Said(part=place.split("/")[0], topic=place.split("/")[1], text=text) for place, text in facts["said"].items()
    ]
    said += [
        Said(part=PRESENTATION, topic="", text=f"{facts['complaint']}; {facts['manner']}"),
        Said(part=HISTORY, topic=ALLERGIES, text=f"Allergic to {allergy}." if allergy else "No allergy known."),
        Said(part=CARE, topic="", text=", ".join(facts["care"])),
    ]
    patient = Patient(
        patient_id=facts["patient"],
        age_months=facts["months"],
        sex=facts["sex"],
        weight_kg=weight_of(facts["months"]),
        height_cm=height_of(facts["months"]),
        allergies=(Allergy(substance=allergy, drug_class=DRUGS[ALLERGENS[allergy]].drug_class),) if allergy else (),
        readings=tuple(
            Reading(t_min=start, code=code, value=facts["vitals"][code], unit=unit) for code, unit in UNITS.items()
        ),
        courses=_courses(facts),
        said=tuple(said),
    )
    beds = tuple(Bed(area=ACUTE, number=at + 1, taken=at >= facts["free"]) for at in range(_BEDS))
    return World(clock_min=start, patients=(patient,), beds=beds)


ALLERGENS = {"penicillin": "amoxicillin", "ibuprofen": "ibuprofen"}
"""A drug of the class of each allergy."""


def _courses(facts: dict[str, Any]) -> tuple[Course, ...]:
    """Who is below 90 % falls on; a drug eases pain. The level is that of the arrival, whatever comes later."""
    pain = Course(code="pain", per_hour=0, low=0, high=10, eased_by=("give_now",), eased_per_hour=-3)
    if facts["vitals"]["spo2"] >= LIFE_SPO2:
        return (pain,)
    pulse = Course(code="pulse", per_hour=12, low=30, high=zone(facts["months"]).pulse + 40)
    return (pain, pulse, Course(code="spo2", per_hour=-6, low=60, high=100))


def weight_of(months: int) -> float:
    """A plausible weight, kg; nothing is computed from it."""
    return round(min(72, 4 + months * 0.5 if months < 12 else 7 + months * 0.2), 1)


def height_of(months: int) -> float:
    """A plausible height, cm; nothing is computed from it."""
    return round(min(172, 50 + months * 2 if months < 12 else 68 + months * 0.55), 0)
