"""A trial that a person wrote as JSON, as a task with its label:

    {"protocol": {"age_low": 40, "age_high": 80, "window": 21, "extension": 7, "override": 4},
     "patients": [{"patient_id": "P0001", "age": 84, "stage": "II", "enrollment_date": "2024-01-08",
                   "treatment_start": "2024-01-20"}, ...],
     "proposals": [{"subject": "P0001", "claims": "The age fits."}, ...]}

What is left out of a patient is unknown to the policy, and alive. The rule engine gives the label.
"""

from __future__ import annotations

from typing import Any

import msgspec

from common.files import parse_json
from common.records import LabelledTask
from envs.oversight.generator import truth_of_trial
from envs.oversight.protocol import CLAUSES, excerpt
from envs.oversight.tasks import labelled_task
from envs.oversight.trial import STAGES, Patient, Proposal, Protocol, Trial

_UNKNOWN: dict[str, Any] = {
    **dict.fromkeys(Patient.__struct_fields__, "unknown"),
    **dict.fromkeys(("comorbidity_index", "ecog", "prior_chemo", "ldh", "bmi", "systolic", "diastolic"), 0),
    "age": None,
    "death_date": None,
    "group": "treatment",
}
_NEEDED = ("patient_id", "stage", "enrollment_date", "treatment_start")


def read_trial(text: str) -> LabelledTask:
    """The task of a file's text. Raises ValueError, one line, that says what is wrong in it."""
    try:
        content = parse_json(text)
        protocol = msgspec.convert({"trial_id": "ONC-000000", **content["protocol"]}, Protocol)
        patients = tuple(_patient(number, given) for number, given in enumerate(content["patients"], 1))
        proposals = tuple(_proposal(number, given) for number, given in enumerate(content["proposals"], 1))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the trial cannot be read: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the trial needs protocol, patients and proposals as objects and lists: {error}") from None
    known = {patient.patient_id for patient in patients}
    if strangers := [one.subject for one in proposals if one.subject not in known]:
        raise ValueError(f"a proposal is about {strangers[0]}, who is not among the patients")
    if not proposals:
        raise ValueError("the trial has no proposals: there is nothing to audit")
    trial = Trial(tier="file", excerpt=excerpt(protocol), protocol=protocol, patients=patients, proposals=proposals)
    return labelled_task(trial, truth_of_trial(trial), split="file", source="file", kind="file")


def _patient(number: int, given: dict[str, Any]) -> Patient:
    if missing := [name for name in _NEEDED if name not in given]:
        raise ValueError(f"patient {number} has no {missing[0]}")
    if unknown := given.keys() - _UNKNOWN.keys():
        raise ValueError(f"patient {number} has a field {min(unknown)}; known are {', '.join(_UNKNOWN)}")
    if given["stage"] not in STAGES:
        raise ValueError(f"patient {number} has stage {given['stage']!r}; write one of {', '.join(STAGES)}")
    outcome = "deceased" if given.get("death_date") else "alive"
    fields = {**_UNKNOWN, "outcome": outcome, **given}
    return msgspec.convert([fields[name] for name in Patient.__struct_fields__], Patient)


def _proposal(number: int, given: dict[str, Any]) -> Proposal:
    made = {"proposal_id": f"PROP-{number:03}", "claims": "", "cites": [], "confidence": 0.9, **given}
    if strange := [clause for clause in made["cites"] if clause not in CLAUSES]:
        raise ValueError(f"proposal {number} cites {strange[0]}; the clauses are {', '.join(CLAUSES)}")
    return msgspec.convert(made, Proposal)
