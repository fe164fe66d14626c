"""The tools of a diagnosis. They give findings and criteria; none says which condition it is."""

from __future__ import annotations

from typing import Any

from envs.clinic.calculators import calculator
from envs.clinic.diagnosis.condition import BLEEDING, PLACES, SPECIALTIES, Condition
from envs.clinic.diagnosis.conditions import COMPLAINTS, CONDITIONS
from envs.clinic.diagnosis.findings import (
    ECG,
    EXAMINE,
    FINDINGS,
    INTERVIEW,
    LAB_CODES,
    LABS,
    STUDY,
    VITALS,
    topics,
    written,
)
from envs.clinic.diagnosis.pairs import SIMPLE
from envs.clinic.instruments import PATIENT_ID, Arguments, Instrument, Used, about, refuse
from envs.clinic.scores.table import SCORES
from envs.clinic.world import Patient, World
from envs.contract.tool_schema import one_of, tool

BACKGROUND, DIFFERENTIAL, CRITERIA, GIVE, CALL, NOTE, SUBMIT = (
    "background",
    "differential",
    "criteria",
    "give_drug",
    "call_specialist",
    "write_note",
    "submit_diagnosis",
)
DRUGS = tuple(sorted({one.gives for one in CONDITIONS.values() if one.gives} | set(BLEEDING)))
CODES = tuple(sorted(CONDITIONS))
CALCULATORS = ("heart", "wells_pe", "perc", "curb65", "qsofa", "anion_gap", "osmolality", "alvarado", "nihss", "abcd2")
_TEXT = {"type": "string", "maxLength": 400}


def _said(tool_name: str, minutes: int, argument: str = "") -> Any:
    """Answers what lies at a place: its sentences and its numbers, a line each."""

    def run(world: World, patient: Patient, arguments: Arguments) -> Used:
        topic = arguments[argument] if argument else ""
        names = [name for name, one in FINDINGS.items() if (one.tool, one.topic) == (tool_name, topic)]
        return Used(world, "\n".join(_found(world, patient, name) for name in names), minutes)

    return about(run)


def _found(world: World, patient: Patient, name: str) -> str:
    one = FINDINGS[name]
    if one.texts:
        return patient.answer(one.tool, name if name in LAB_CODES else one.topic) or ""
    value = world.current(patient.patient_id, name)
    assert value is not None, name
    return written(name, value)


def _labs(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, "\n".join(_found(world, patient, name) for name in dict.fromkeys(arguments["codes"])), 30)


def _background(world: World, patient: Patient, arguments: Arguments) -> Used:
    known = ", ".join(f"allergy to {one.substance} ({one.drug_class})" for one in patient.allergies)
    problems = "".join(f", {one.name}" for one in patient.problems)
    return Used(world, f"{patient.sex}, {patient.years} years{problems}, {known or 'no allergy known'}", 1)


def _differential(world: World, arguments: Arguments) -> Used:
    return Used(world, "\n".join(f"{one.code} {one.name}" for one in COMPLAINTS[arguments["complaint"]]), 1)


def described(one: Condition) -> str:
    """Criteria, place, and what is due."""
    criteria = "; ".join(map(str, one.criteria)) or "none of the others of the complaint"
    drug = (
        f", give {one.gives} unless an allergy forbids it{f' or {one.unless}' if one.unless else ''}"
        if one.gives
        else ""
    )
    never = f", never {', '.join(one.never)}" if one.never else ""
    return (
        f"{one.code} {one.name}, if {criteria}. Then {one.place}, call {one.calls}{drug}{never}. Source: {one.source}."
    )


def _criteria(world: World, arguments: Arguments) -> Used:
    code = arguments["code"]
    if code not in CONDITIONS:
        return refuse(world, f"The code {code} is not listed.")
    return Used(world, described(CONDITIONS[code]), 1)


def _give(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, f"Given: {arguments['drug']}.", 3)


def _call(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, f"Called: {arguments['specialty']}.", 2)


def _note(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, "Noted.", 2)


def _submit(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, "")


def _of(name: str, description: str, run: Any, **more: Any) -> Instrument:
    return Instrument(tool(name, description, patient_id=PATIENT_ID, **more), run)


_CODE_LIST = {"type": "array", "items": one_of(LAB_CODES), "minItems": 1, "maxItems": len(LAB_CODES)}
_ICD10 = {"type": "string", "pattern": r"^[A-Z]\d\d(\.\w{1,4})?$"}
SIMPLE_CODES = tuple(code for codes in SIMPLE.values() for code in codes.values())
SIMPLE_RULES = (
    "You find out what a patient with abdominal pain has. The CT of the abdomen shows K35.80, a wide appendix; K57.32, "
    "diverticula; K56.609, a wide small bowel; or N20.1, a stone in a ureter. Where it shows nothing, the ultrasound "
    "shows gallstones: K81.0, the wall is 6 mm thick; or K80.20, it is 2 mm thick."
)
FIRST = (
    _of(STUDY, "imaging", _said(STUDY, 20, "study"), study=one_of(tuple(SIMPLE))),
    Instrument(
        tool(SUBMIT, "ends the work", patient_id=PATIENT_ID, icd10=one_of(SIMPLE_CODES)), about(_submit), ends=True
    ),
)
"""The tools of the tier `first`."""
WHOLE = (
    _of(BACKGROUND, "sex, age, problems, allergies", about(_background)),
    _of(INTERVIEW, "asks the patient", _said(INTERVIEW, 2, "topic"), topic=one_of(topics(INTERVIEW))),
    _of(EXAMINE, "examines", _said(EXAMINE, 2, "system"), system=one_of(topics(EXAMINE))),
    _of(VITALS, "pulse, breaths, pressure, saturation, temperature", _said(VITALS, 3)),
    _of(LABS, "laboratory values, also of cerebrospinal fluid", about(_labs), codes=_CODE_LIST),
    _of(STUDY, "imaging, or spirometry from the records", _said(STUDY, 20, "study"), study=one_of(topics(STUDY))),
    _of(ECG, "twelve leads", _said(ECG, 5)),
    Instrument(
        tool(DIFFERENTIAL, "codes considered with a complaint", complaint=one_of(tuple(COMPLAINTS))), _differential
    ),
    Instrument(tool(CRITERIA, "criteria of a code, and what is due", code=_ICD10), _criteria),
    *(calculator(SCORES[name]) for name in CALCULATORS),
    _of(GIVE, "gives a drug now", about(_give), drug=one_of(DRUGS)),
    _of(CALL, "calls a specialist", about(_call), specialty=one_of(SPECIALTIES)),
    _of(NOTE, "writes a note", about(_note), text=_TEXT),
    Instrument(
        tool(SUBMIT, "ends the work", patient_id=PATIENT_ID, icd10=_ICD10, disposition=one_of(PLACES)),
        about(_submit),
        ends=True,
    ),
)
"""All tools."""
