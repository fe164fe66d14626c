"""A trial that a person wrote as JSON, as a task with its label:

    {"protocol": {"age_low": 40, "age_high": 80, "window": 21, "extension": 7, "override": 4},
     "patients": [{"patient_id": "P0001", "age": 84, "stage": "II", "enrollment_date": "2024-01-08",
                   "treatment_start": "2024-01-20"}, ...],
     "proposals": [{"subject": "P0001", "claims": "The age fits."}, ...]}

What is left out of a patient is unknown to the policy, and alive. The rule engine gives the label.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import msgspec

from common.files import parse_json
from common.records import LabelledTask
from envs.oversight.generator import truth_of_trial
from envs.oversight.protocol import CLAUSES, excerpt
from envs.oversight.tasks import labelled_task
from envs.oversight.tools import PATIENT_ID, PROPOSAL_ID
from envs.oversight.trial import STAGES, Patient, Proposal, Protocol, Trial

_UNKNOWN: dict[str, Any] = {
    **dict.fromkeys(Patient.__struct_fields__, "unknown"),
    **dict.fromkeys(("comorbidity_index", "ecog", "prior_chemo", "ldh", "bmi", "systolic", "diastolic"), 0),
    "age": None,
    "death_date": None,
    "group": "treatment",
}
_NEEDED = ("patient_id", "stage", "enrollment_date", "treatment_start")
_DATES = ("enrollment_date", "treatment_start", "death_date")
MOST = 10_000
"""The largest number of a trial, whatever it counts."""


def read_trial(text: str) -> LabelledTask:
    """The task of a file's text. Raises ValueError, one line, that says what is wrong in it."""
    try:
        content = parse_json(text)
        protocol = _protocol(content["protocol"])
        patients = tuple(_patient(number, given) for number, given in enumerate(content["patients"], 1))
        proposals = tuple(_proposal(number, given) for number, given in enumerate(content["proposals"], 1))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the trial cannot be read: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the trial needs protocol, patients and proposals as objects and lists: {error}") from None
    _refuse_twice("patient_id", [patient.patient_id for patient in patients])
    _refuse_twice("proposal_id", [proposal.proposal_id for proposal in proposals])
    known = {patient.patient_id for patient in patients}
    if strangers := [one.subject for one in proposals if one.subject not in known]:
        raise ValueError(f"a proposal is about {strangers[0]}, who is not among the patients")
    if not proposals:
        raise ValueError("the trial has no proposals: there is nothing to audit")
    trial = Trial(tier="file", excerpt=excerpt(protocol), protocol=protocol, patients=patients, proposals=proposals)
    return labelled_task(trial, truth_of_trial(trial), split="file", source="file", kind="file")


def _protocol(given: dict[str, Any]) -> Protocol:
    _refuse_unknown("the protocol", given, Protocol.__struct_fields__)
    _check_numbers("the protocol", given)
    return msgspec.convert({"trial_id": "ONC-000000", **given}, Protocol)


def _patient(number: int, given: dict[str, Any]) -> Patient:
    if missing := [name for name in _NEEDED if name not in given]:
        raise ValueError(f"patient {number} has no {missing[0]}")
    _refuse_unknown(f"patient {number}", given, _UNKNOWN)
    _check_numbers(f"patient {number}", given)
    if given["stage"] not in STAGES:
        raise ValueError(f"patient {number} has stage {given['stage']!r}; write one of {', '.join(STAGES)}")
    outcome = "deceased" if given.get("death_date") else "alive"
    fields = {**_UNKNOWN, "outcome": outcome, **given}
    made = msgspec.convert([fields[name] for name in Patient.__struct_fields__], Patient)
    _check_name(f"patient {number}", "patient_id", made.patient_id, PATIENT_ID, "P0001")
    for name in _DATES:
        if (day := getattr(made, name)) is not None:
            _check_day(f"patient {number}", name, day)
    return made


def _proposal(number: int, given: dict[str, Any]) -> Proposal:
    _refuse_unknown(f"proposal {number}", given, Proposal.__struct_fields__)
    made = {"proposal_id": f"PROP-{number:03}", "claims": "", "cites": [], "confidence": 0.9, **given}
    if strange := [clause for clause in made["cites"] if clause not in CLAUSES]:
        raise ValueError(f"proposal {number} cites {strange[0]}; the clauses are {', '.join(CLAUSES)}")
    found = msgspec.convert(made, Proposal)
    _check_name(f"proposal {number}", "proposal_id", found.proposal_id, PROPOSAL_ID, "PROP-001")
    if not 0 <= found.confidence <= 1:
        raise ValueError(f"proposal {number} has confidence {found.confidence}; write a number from 0 to 1")
    return found


def _refuse_unknown(whose: str, given: dict[str, Any], known: Collection[str]) -> None:
    if unknown := given.keys() - set(known):
        raise ValueError(f"{whose} has a field {min(unknown)}; known are {', '.join(known)}")


def _refuse_twice(name: str, ids: Sequence[str]) -> None:
    if twice := [one for one, count in Counter(ids).items() if count > 1]:
        raise ValueError(f"{name} {twice[0]} stands twice; give each its own")


def _check_name(whose: str, name: str, written: str, pattern: str, example: str) -> None:
    """The tools take ids of one form only: under another nobody could ask for it."""
    if not re.fullmatch(pattern, written):
        raise ValueError(f"{whose} has {name} {written!r:.40}; write it like {example}")


def _check_day(whose: str, name: str, written: str) -> None:
    try:
        date.fromisoformat(written)
    except ValueError as error:
        raise ValueError(f"{whose} has {name} {written!r:.40} ({error}); write it like 2024-01-08") from None


def _check_numbers(whose: str, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if isinstance(value, int) and not 0 <= value <= MOST:
            raise ValueError(f"{whose} has {name} {value!r:.40}; write a number from 0 to {MOST}")
