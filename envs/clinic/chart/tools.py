"""The tools of the chart. Charts are read by stay; calculators take numbers, never a patient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from envs.clinic.calculators import calculator
from envs.clinic.chart.codes import CODES
from envs.clinic.chart.families.quality import NAMES
from envs.clinic.chart.labels import LABELS, table
from envs.clinic.chart.names import (
    ADMISSIONS,
    ALLERGIES,
    DOSES,
    FLUIDS,
    HOME,
    INFUSIONS,
    LABS,
    LOOKUP,
    NOTES,
    ORDERS,
    PROBLEMS,
    RECONCILE,
    STAY,
    SUBMIT,
    VITALS,
)
from envs.clinic.chart.texts import NOTHING, lines, moment
from envs.clinic.instruments import HADM_ID, PATIENT_ID, Arguments, Instrument, Used, about, refuse
from envs.clinic.scores.table import SCORES
from envs.clinic.world import Admission, Medication, Patient, Reading, World
from envs.contract.tool_schema import one_of, tool

READ_MIN = 1
Read = Callable[[World, Patient, Admission, Arguments], str]
_DRUGS = {"type": "array", "items": {"type": "string", "pattern": r"^[a-z0-9_]{1,40}$"}, "maxItems": 20}


def _of_stay(read: Read) -> Callable[[World, Arguments], Used]:
    """Refuses a stay that there is not."""

    def run(world: World, arguments: Arguments) -> Used:
        admission = world.admission(arguments["hadm_id"])
        if admission is None:
            return refuse(world, f"There is no admission {arguments['hadm_id']}.")
        patient = world.patient(admission.patient_id)
        assert patient is not None, admission
        return Used(world, read(world, patient, admission, arguments), READ_MIN)

    return run


def _rows(name: str) -> Read:
    def read(world: World, patient: Patient, admission: Admission, arguments: Arguments) -> str:
        code = arguments.get("code")
        return lines([row for row in _recorded(world, patient, admission, name) if code in (None, row.code)])

    return read


def _recorded(world: World, patient: Patient, admission: Admission, name: str) -> list[Reading]:
    return [
        row
        for row in patient.readings
        if row.hadm_id == admission.hadm_id and row.t_min <= world.clock_min and CODES[row.code].tool == name
    ]


def _stay(world: World, patient: Patient, admission: Admission, arguments: Arguments) -> str:
    return (
        f"{admission.hadm_id}: {patient.patient_id}, age {patient.years}, {patient.sex}, {patient.weight_kg:g} kg, "
        f"{patient.height_cm:g} cm. Admitted {moment(admission.start_min)}, {admission.reason}."
    )


def _problems(world: World, patient: Patient, admission: Admission, arguments: Arguments) -> str:
    return "\n".join(f"{one.code} {one.name}" for one in patient.problems) or NOTHING


def _allergies(world: World, patient: Patient, admission: Admission, arguments: Arguments) -> str:
    return "\n".join(f"allergy to {one.substance}: {one.reaction}" for one in patient.allergies) or NOTHING


def _home(world: World, patient: Patient, admission: Admission, arguments: Arguments) -> str:
    return "\n".join(_drug(one) for one in patient.medications if not one.hadm_id) or NOTHING


def _orders(world: World, patient: Patient, admission: Admission, arguments: Arguments) -> str:
    ordered = [one for one in patient.medications if one.hadm_id == admission.hadm_id]
    shown = [one for one in ordered if one.start_min <= world.clock_min]
    return "\n".join(map(_order, sorted(shown, key=lambda one: one.start_min))) or NOTHING


def _drug(one: Medication) -> str:
    return f"{one.drug} {one.dose_mg:g} mg {one.route} every {one.every_h:g} h"


def _order(one: Medication) -> str:
    until = "goes on" if one.stop_min is None else f"stopped {moment(one.stop_min)}"
    return f"{moment(one.start_min)} {_drug(one)}, {until}"


def _notes(world: World, patient: Patient, admission: Admission, arguments: Arguments) -> str:
    written = [one for one in world.documents if one.patient_id == patient.patient_id and one.t_min <= world.clock_min]
    return "\n".join(f"{moment(one.t_min)} {one.kind}: {one.text}" for one in written) or NOTHING


def _admissions(world: World, patient: Patient, arguments: Arguments) -> Used:
    stays = [one for one in world.admissions if one.patient_id == patient.patient_id]
    return Used(world, "\n".join(f"{one.hadm_id} from {moment(one.start_min)}" for one in stays) or NOTHING, READ_MIN)


def _reconcile(world: World, patient: Patient, admission: Admission, arguments: Arguments) -> str:
    lists = (arguments["keep"], arguments["stop"], arguments["add"])
    return f"Recorded: {len(lists[0])} kept, {len(lists[1])} stopped, {len(lists[2])} added."


def _doses(world: World, arguments: Arguments) -> Used:
    return Used(world, table(LABELS[arguments["drug"]]), READ_MIN)


def _lookup(world: World, arguments: Arguments) -> Used:
    code = arguments["code"]
    return Used(world, NAMES[code], READ_MIN) if code in NAMES else refuse(world, f"The code {code} is not listed.")


def _submit(world: World, arguments: Arguments) -> Used:
    if world.admission(arguments["hadm_id"]) is None:
        return refuse(world, f"There is no admission {arguments['hadm_id']}.")
    return Used(world, "")


def _by_stay(name: str, description: str, read: Read, **more: Any) -> Instrument:
    return Instrument(tool(name, description, hadm_id=HADM_ID, **more), _of_stay(read))


def _of_place(name: str, description: str) -> Instrument:
    codes = tuple(code for code, found in CODES.items() if found.tool == name)
    declared = tool(name, description, optional=("code",), hadm_id=HADM_ID, code=one_of(codes))
    return Instrument(declared, _of_stay(_rows(name)))


READING = (
    Instrument(tool(ADMISSIONS, "stays of a patient", patient_id=PATIENT_ID), about(_admissions)),
    _by_stay(STAY, "patient, age, sex, weight, reason", _stay),
    _by_stay(PROBLEMS, "coded problems", _problems),
    _by_stay(ALLERGIES, "allergies", _allergies),
    _by_stay(HOME, "drugs taken at home", _home),
    _by_stay(ORDERS, "drugs ordered in the stay", _orders),
    _by_stay(NOTES, "notes", _notes),
    _of_place(VITALS, "vital signs, or those of one code"),
    _of_place(LABS, "laboratory values, or those of one code"),
    _of_place(INFUSIONS, "rates of vasoactive drugs"),
    _of_place(FLUIDS, "fluids in and out"),
    Instrument(tool(DOSES, "a drug's doses by creatinine clearance", drug=one_of(tuple(LABELS))), _doses),
    Instrument(
        tool(LOOKUP, "title of an ICD-10-CM code", code={"type": "string", "pattern": r"^[A-Z]\d\d(\.\w{1,4})?$"}),
        _lookup,
    ),
)
CALCULATORS = ("sofa", "qsofa", "news2", "grace", "kdigo", "egfr", "crcl", "anion_gap")
_VALUE = {"type": ["number", "string"], "maxLength": 40}
SUBMISSION = Instrument(tool(SUBMIT, "ends the work", hadm_id=HADM_ID, value=_VALUE), _submit, ends=True)
WHOLE = (
    *READING,
    *(calculator(SCORES[name]) for name in CALCULATORS),
    _by_stay(RECONCILE, "records drugs at discharge", _reconcile, keep=_DRUGS, stop=_DRUGS, add=_DRUGS),
    SUBMISSION,
)
"""The tools of the tier `full`."""
_FIRST = (STAY, PROBLEMS, VITALS, LABS, "news2", "egfr", SUBMIT)
FIRST = tuple(one for one in WHOLE if one.tool.name in _FIRST)
"""Those of the tier `first`."""
