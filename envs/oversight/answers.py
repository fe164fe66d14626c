"""What the tools answer: facts of the trial. No answer depends on the truth, or says whether a decision was right."""

from __future__ import annotations

import msgspec

from common.records import Record
from envs.oversight.rules import allowed_days, days_between
from envs.oversight.trial import Patient, Proposal, Protocol

TRIAL, CLINICAL = "trial", "clinical"
"""The parts of a record: what the protocol is about, and the rest. Whole ones would not leave room for eleven."""
_PARTS: dict[str, tuple[str, ...]] = {
    TRIAL: (
        "age",
        "gender",
        "ethnicity",
        "group",
        "stage",
        "comorbidity_index",
        "ecog",
        "site",
        "enrollment_date",
        "treatment_start",
        "death_date",
        "outcome",
    )
}
_PARTS[CLINICAL] = tuple(name for name in Patient.__struct_fields__[1:] if name not in _PARTS[TRIAL])
_NOTHING = "-"


class Read(Record):
    """What the part `trial` says of the rules' facts."""

    age: int | None
    stage: str
    comorbidity_index: int
    enrollment_date: str
    treatment_start: str
    death_date: str | None


def claims(proposal: Proposal) -> str:
    """The assistant's word for a proposal."""
    cited = ", ".join(proposal.cites)
    return f'{proposal.subject}: "{proposal.claims}" Cites {cited}.'


def record(patient: Patient, part: str = TRIAL) -> str:
    """The fields of one part of a record, `name value`."""
    return ", ".join(f"{name} {_shown(getattr(patient, name))}" for name in _PARTS[part])


def _shown(value: str | int | None) -> str | int:
    return _NOTHING if value is None else value


def read_record(text: str) -> Read:
    """What the part `trial` of a record says."""
    fields = dict(part.split(" ", 1) for part in text.split(", "))
    known = {name: None if value == _NOTHING else value for name, value in fields.items()}
    return msgspec.convert(known, Read, strict=False)


def timeline(patient: Patient, protocol: Protocol, verdict: bool) -> str:
    """A patient's dates and the days between them; with `verdict` also what the protocol says of them."""
    delay = days_between(patient.enrollment_date, patient.treatment_start)
    most = allowed_days(protocol, patient)
    late = f", {'a violation' if delay > most else 'in order'}: at most {most}" if verdict else ""
    return (
        f"enrollment_date {patient.enrollment_date}\n"
        f"treatment_start {patient.treatment_start}: {delay} days after enrolment{late}\n"
        f"death_date {_death(patient, verdict)}"
    )


def _death(patient: Patient, verdict: bool) -> str:
    if patient.death_date is None:
        return _NOTHING
    days = days_between(patient.treatment_start, patient.death_date)
    judged = (", a violation" if days < 0 else ", in order") if verdict else ""
    return f"{patient.death_date}: {days} days after the start of treatment{judged}"
