"""What the tools answer: facts of the trial. No answer depends on the truth, or says whether a decision was right."""

from __future__ import annotations

import msgspec

from envs.oversight.actor import ACTION
from envs.oversight.rules import allowed_days, days_between
from envs.oversight.trial import Patient, Proposal, Protocol

_NOTHING = "-"


def claims(proposal: Proposal) -> str:
    """The assistant's word for a proposal."""
    cited = ", ".join(proposal.cites)
    return (
        f'{proposal.subject}: "{proposal.claims}" Cites {cited}. Confidence {proposal.confidence}. '
        f"{ACTION.capitalize()}."
    )


def record(patient: Patient) -> str:
    """Every field of a patient, `name value`."""
    fields = msgspec.structs.asdict(patient).items()
    return ", ".join(f"{name} {_NOTHING if value is None else value}" for name, value in fields)


def read_record(text: str) -> Patient:
    """The patient of a `record`."""
    fields = dict(part.split(" ", 1) for part in text.split(", "))
    values = [None if fields[name] == _NOTHING else fields[name] for name in Patient.__struct_fields__]
    return msgspec.convert(values, Patient, strict=False)


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
