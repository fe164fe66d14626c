"""The tools of triage. Answers are what was found or done; none names a level or a point of the tree."""

from __future__ import annotations

import msgspec

from envs.clinic.calculators import calculator
from envs.clinic.drugs import NAMES
from envs.clinic.instruments import PATIENT_ID, Arguments, Instrument, Used, about
from envs.clinic.scores.table import SCORES
from envs.clinic.triage.cases import (
    ACUTE,
    CARE_READ,
    DISPOSITIONS,
    SURVEY_READ,
    TEAM_RESUSCITATION,
    TEAM_STROKE,
    UNITS,
    VITALS_READ,
)
from envs.clinic.triage.findings import BREATHING, CARE, HISTORY, PRESENTATION, RESPONSE, SURVEY, TOPICS
from envs.clinic.world import Patient, Reading, World
from envs.contract.tool_schema import one_of, tool

SUBMIT, ACTIVATE, GIVE, LABS, REASSESS, HISTORY_TOOL, BEDS = (
    "submit_triage",
    "activate",
    "give_now",
    "stat_labs",
    "reassess",
    "history",
    "ed_status",
)
TEAMS = (TEAM_RESUSCITATION, TEAM_STROKE)
SHOWN = ("pulse", "resp_rate", "sbp", "dbp", "spo2", "temp")
"""The vital signs, in the order in which they are shown; pain is asked for by itself."""
CODES = ("blood_count", "electrolytes", "glucose", "urinalysis")
_LEVEL = {"type": "integer", "minimum": 1, "maximum": 5}


def shown(code: str, value: float) -> str:
    """`pulse 96`; degrees with one decimal."""
    return f"{code} {value:.1f}" if UNITS[code] == "C" else f"{code} {value:.0f}"


def _presentation(world: World, patient: Patient, arguments: Arguments) -> Used:
    return _said(world, patient, ((PRESENTATION, ""),), 1)


def _survey(world: World, patient: Patient, arguments: Arguments) -> Used:
    return _said(world, patient, ((SURVEY, BREATHING), (SURVEY, RESPONSE)), 1)


def _history(world: World, patient: Patient, arguments: Arguments) -> Used:
    return _said(world, patient, ((HISTORY, arguments["part"]),), 2)


def _care(world: World, patient: Patient, arguments: Arguments) -> Used:
    return _said(world, patient, ((CARE, ""),), 1)


def _said(world: World, patient: Patient, places: tuple[tuple[str, str], ...], minutes: int) -> Used:
    return Used(world, " ".join(patient.answer(*place) or "Nothing is known." for place in places), minutes)


def _vitals(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, ", ".join(shown(code, _last(world, patient, code)) for code in SHOWN), 3)


def _pain(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, shown("pain", _last(world, patient, "pain")), 1)


def _last(world: World, patient: Patient, code: str) -> float:
    return world.readings(patient.patient_id, code)[-1].value


def _beds(world: World, arguments: Arguments) -> Used:
    free = sum(not bed.taken for bed in world.beds if bed.area == ACUTE)
    return Used(world, f"{ACUTE}: {free} of {len(world.beds)} free", 1)


def _give(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, f"Given: {arguments['drug']} {arguments['dose_mg']:g} mg.", 3)


def _labs(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, f"Taken: {', '.join(arguments['codes'])}. Results in 30 minutes.", 5)


def _activate(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, f"The {arguments['team']} team was called.", 1)


def _reassess(world: World, patient: Patient, arguments: Arguments) -> Used:
    """The new values are recorded."""
    minutes = arguments["after_min"]
    then = world.later(minutes)
    values = {code: then.current(patient.patient_id, code) or 0.0 for code in UNITS}
    rows = (Reading(t_min=then.clock_min, code=code, value=value, unit=UNITS[code]) for code, value in values.items())
    measured = msgspec.structs.replace(patient, readings=(*patient.readings, *rows))
    text = ", ".join(shown(code, values[code]) for code in SHOWN)
    return Used(world.with_patient(measured), f"After {minutes} minutes: {text}", minutes)


def _submit(world: World, arguments: Arguments) -> Used:
    return Used(world, "")


PRESENT = Instrument(tool("presentation", "complaint, arrival and manner", patient_id=PATIENT_ID), about(_presentation))
SURVEY_TOOL = Instrument(tool(SURVEY_READ, "breathing and response", patient_id=PATIENT_ID), about(_survey))
CARE_TOOL = Instrument(tool(CARE_READ, "what the physician expects to order", patient_id=PATIENT_ID), about(_care))
SIMPLE = (
    SURVEY_TOOL,
    CARE_TOOL,
    Instrument(tool(SUBMIT, "ends the triage", level=_LEVEL), _submit, ends=True),
)
"""The tools of the tier `first`."""
WHOLE = (
    PRESENT,
    SURVEY_TOOL,
    Instrument(tool(VITALS_READ, "vital signs as last recorded", patient_id=PATIENT_ID), about(_vitals)),
    Instrument(tool(HISTORY_TOOL, "asks the patient", patient_id=PATIENT_ID, part=one_of(TOPICS)), about(_history)),
    Instrument(tool("pain", "pain, 0 to 10", patient_id=PATIENT_ID), about(_pain)),
    CARE_TOOL,
    calculator(SCORES["gcs"]),
    Instrument(tool(BEDS, "free beds"), _beds),
    Instrument(
        tool(
            GIVE,
            "gives a drug by mouth",
            patient_id=PATIENT_ID,
            drug=one_of(NAMES),
            dose_mg={"type": "number", "exclusiveMinimum": 0, "maximum": 10000},
        ),
        about(_give),
    ),
    Instrument(
        tool(
            LABS,
            "draws blood or takes urine",
            patient_id=PATIENT_ID,
            codes={"type": "array", "items": one_of(CODES), "minItems": 1, "maxItems": len(CODES)},
        ),
        about(_labs),
    ),
    Instrument(tool(ACTIVATE, "calls a team", patient_id=PATIENT_ID, team=one_of(TEAMS)), about(_activate)),
    Instrument(
        tool(
            REASSESS,
            "waits, then measures again",
            patient_id=PATIENT_ID,
            after_min={"type": "integer", "minimum": 1, "maximum": 60},
        ),
        about(_reassess),
    ),
    Instrument(
        tool(SUBMIT, "ends the triage", patient_id=PATIENT_ID, level=_LEVEL, disposition=one_of(DISPOSITIONS)),
        about(lambda world, patient, arguments: _submit(world, arguments)),
        ends=True,
    ),
)
"""The tools of the tier `full`."""
