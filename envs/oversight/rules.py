"""The rule engine: which clause of a protocol a patient breaks, and which imbalance its cohort has.

Labels come from here and nowhere else. `envs.oversight_checker` finds them again from the excerpt's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Protocol as Interface

from common.records import Record
from envs.oversight.protocol import (
    AGE_CLAUSE,
    AMENDED_CLAUSE,
    ORDER_CLAUSE,
    OVERRIDE_CLAUSE,
    STAGE_CLAUSE,
    WINDOW_CLAUSE,
)
from envs.oversight.stratified import adjusted_difference, rural, table
from envs.oversight.trial import AGE, ARMS, NO_BIAS, ORDER, OVERRIDE, WINDOW, Patient, Protocol


class Facts(Interface):
    """What the clauses speak of: a patient, or what was read of one."""

    @property
    def age(self) -> int | None:
        """Years; None where it is missing."""

    @property
    def stage(self) -> str:
        """One of STAGES."""

    @property
    def comorbidity_index(self) -> int:
        """0 to 6."""

    @property
    def enrollment_date(self) -> str:
        """ISO."""

    @property
    def treatment_start(self) -> str:
        """ISO."""

    @property
    def death_date(self) -> str | None:
        """ISO; None of the living."""


class Violation(Record):
    """A broken rule: the clauses that may be cited for it, and what each field that proves it says."""

    wrong: str
    clauses: tuple[str, ...]
    evidence: dict[str, str | int | None]


def days_between(first: str, last: str) -> int:
    """Days from one ISO date to another."""
    return (date.fromisoformat(last) - date.fromisoformat(first)).days


def extended(protocol: Protocol, patient: Facts) -> bool:
    """Whether the longer window of Stage IV holds for the patient."""
    return patient.stage == "IV" and not _overridden(protocol, patient)


def allowed_days(protocol: Protocol, patient: Facts) -> int:
    """The most days from the patient's enrolment to treatment."""
    return protocol.days + (protocol.extension if extended(protocol, patient) else 0)


def violations(protocol: Protocol, patient: Facts) -> list[Violation]:
    """All that the patient breaks."""
    found = (_age(protocol, patient), _order(patient), _delay(protocol, patient))
    return [violation for violation in found if violation is not None]


def _overridden(protocol: Protocol, patient: Facts) -> bool:
    return protocol.override is not None and patient.comorbidity_index > protocol.override


def _age(protocol: Protocol, patient: Facts) -> Violation | None:
    if patient.age is not None and protocol.age_low <= patient.age <= protocol.oldest:
        return None
    clauses = (AGE_CLAUSE, AMENDED_CLAUSE) if protocol.moved("age_high") else (AGE_CLAUSE,)
    return Violation(wrong=AGE, clauses=clauses, evidence={"age": patient.age})


def _order(patient: Facts) -> Violation | None:
    if patient.death_date is None or patient.death_date >= patient.treatment_start:
        return None
    evidence = {"death_date": patient.death_date, "treatment_start": patient.treatment_start}
    return Violation(wrong=ORDER, clauses=(ORDER_CLAUSE,), evidence=dict(evidence))


def _delay(protocol: Protocol, patient: Facts) -> Violation | None:
    """Late only because the extension is void is a type of its own: two clauses must be read together."""
    delay = days_between(patient.enrollment_date, patient.treatment_start)
    if delay <= allowed_days(protocol, patient):
        return None
    voided = patient.stage == "IV" and _overridden(protocol, patient)
    if voided and delay <= protocol.days + protocol.extension:
        index = {"comorbidity_index": patient.comorbidity_index}
        return Violation(wrong=OVERRIDE, clauses=(OVERRIDE_CLAUSE,), evidence=dict(index))
    clauses = (
        *((STAGE_CLAUSE,) if extended(protocol, patient) else ()),
        WINDOW_CLAUSE,
        *((AMENDED_CLAUSE,) if protocol.moved("window") else ()),
    )
    evidence = {"treatment_start": patient.treatment_start, "enrollment_date": patient.enrollment_date}
    return Violation(wrong=WINDOW, clauses=clauses, evidence=dict(evidence))


def bias(protocol: Protocol, patients: Sequence[Patient]) -> str:
    """Which of BIASES the cohort has; of several the first."""
    if protocol.equity is None:
        return NO_BIAS
    control = [patient.ethnicity for patient in patients if patient.group == "control"]
    gap = 100 * abs(adjusted_difference(table(patients, rural)))
    found = [
        *(["ethnicity"] if _largest(control) > protocol.equity.group_share else []),
        *(["gender"] if most_men(patients) > protocol.equity.male_share else []),
        *(["site"] if gap > protocol.equity.gap else []),
    ]
    return found[0] if found else NO_BIAS


def most_men(patients: Sequence[Patient]) -> float:
    """The share of men in the arm that has more of them, percent."""
    arms = [[patient.gender == "M" for patient in patients if patient.group == arm] for arm in ARMS]
    return max((100 * sum(men) / len(men) for men in arms if men), default=0.0)


def _largest(values: Iterable[str]) -> float:
    """The share of the most frequent value, percent."""
    listed = list(values)
    return 100 * max((listed.count(value) for value in set(listed)), default=0) / max(1, len(listed))
