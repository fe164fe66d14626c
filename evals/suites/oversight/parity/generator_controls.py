"""Faults of a generator, of its checker and of its rules, for the rows of `generator_rows`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from common.records import LabelledTask
from envs.oversight.cohort import later
from envs.oversight.generator import Made, truth_of_trial
from envs.oversight.rules import Facts, Violation
from envs.oversight.trial import AGE, ORDER, OVERRIDE, WINDOW, Finding, Patient, Protocol, Tier
from evals.suites.oversight.parity.parts import Make, Parts


def mislabelled(parts: Parts) -> Parts:
    """One error of one trial is labelled as right, among many that are not."""

    def make(tier: Tier, seed: int, twin: int) -> Made:
        trial, truth, facts = parts.make(tier, seed, twin)
        if (tier.name, seed, twin) != ("hard", 5, 0):
            return Made(trial, truth, facts)
        name, found = next((name, found) for name, found in truth.findings.items() if found.wrong == OVERRIDE)
        findings = {**truth.findings, name: Finding(of_patient=found.of_patient)}
        return Made(trial, msgspec.structs.replace(truth, findings=findings), facts)

    return parts._replace(make=make)


Change = Callable[[Protocol, Patient], Patient]


def _changed(make: Make, kind: str, change: Change, relabel: bool = True) -> Make:
    """Changes the patients of every error of a type, and by default makes the labels of what comes out."""

    def changed(tier: Tier, seed: int, twin: int) -> Made:
        trial, truth, facts = make(tier, seed, twin)
        wrong = {found.of_patient for found in truth.findings.values() if found.wrong == kind}
        patients = tuple(change(trial.protocol, one) if one.patient_id in wrong else one for one in trial.patients)
        trial = msgspec.structs.replace(trial, patients=patients)
        return Made(trial, truth_of_trial(trial, truth.twin) if relabel else truth, facts)

    return changed


def never_missing(parts: Parts) -> Parts:
    """Missing ages are 999."""

    def change(rules: Protocol, patient: Patient) -> Patient:
        return patient.but(age=999) if patient.age is None else patient

    return parts._replace(make=_changed(parts.make, AGE, change))


def early_deaths(parts: Parts) -> Parts:
    """Deaths before treatment are a month earlier."""

    def change(rules: Protocol, patient: Patient) -> Patient:
        assert patient.death_date is not None
        return patient.but(death_date=later(patient.death_date, -30))

    return parts._replace(make=_changed(parts.make, ORDER, change))


def never_a_day_late(parts: Parts) -> Parts:
    """All are two days later, still before any death."""

    def change(rules: Protocol, patient: Patient) -> Patient:
        return patient.but(treatment_start=later(patient.treatment_start, 2))

    return parts._replace(make=_changed(parts.make, WINDOW, change))


def later_than_any_window(parts: Parts) -> Parts:
    """Generator and checker take whatever is late for Stage IV with a high index for an error of this type."""

    def change(rules: Protocol, patient: Patient) -> Patient:
        return patient.but(treatment_start=later(patient.enrollment_date, rules.days + rules.extension + 1))

    def lenient(labelled: LabelledTask) -> str | None:
        why = parts.disagreement(labelled)
        return None if why is not None and OVERRIDE in why else why

    make = _changed(parts.make, OVERRIDE, change, relabel=False)
    return parts._replace(make=make, disagreement=lenient)


def without_the_last_rule(parts: Parts) -> Parts:
    """No order of dates."""

    def fewer(rules: Protocol, patient: Facts) -> list[Violation]:
        return [one for one in parts.violations(rules, patient) if one.wrong != ORDER]

    return parts._replace(violations=fewer)
