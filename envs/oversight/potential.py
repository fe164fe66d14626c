"""How good the state of an audit is before each action: what the source pays for single steps, as a potential.

Potentials change no optimum (Ng, Harada, Russell 1999): the learner subtracts what it adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from envs.contract.calls import Call, Fault
from envs.oversight.tools import APPROVE, FLAG, INVESTIGATE, SHAP, TEMPORAL
from envs.oversight.trial import AGE, OVERRIDE, WINDOW, Truth

RIGHT_FLAG, RIGHT_APPROVAL, WRONG_FLAG, WRONG_APPROVAL, TELLING_SHAP, FIRST_LOOK = 0.30, 0.15, -0.25, -0.20, 0.12, 0.10
TELLING = {AGE: ("age",), WINDOW: ("stage",), OVERRIDE: ("stage", "comorbidity_index")}
"""Features that matter for a type of error."""


def potentials(truth: Truth, replies: Sequence[Call | Fault]) -> tuple[float, ...]:
    """The potential of the state before each action, 1 where all that is paid for was done."""
    seen = set[tuple[str, str]]()
    gains = [_gain(truth, call, seen) for call in replies]
    most = _most(truth)
    return tuple(gained / most for gained in accumulate([0.0, *gains[:-1]]))


def _gain(truth: Truth, call: Call | Fault, seen: set[tuple[str, str]]) -> float:
    if isinstance(call, Fault):
        return 0.0
    arguments = call.arguments
    if call.name in (FLAG, APPROVE):
        return _once(seen, "decision", arguments["proposal_id"], _decision(truth, call))
    if call.name in (INVESTIGATE, TEMPORAL):
        proposed = {found.of_patient for found in truth.findings.values()}
        patient = arguments["patient_id"]
        return _once(seen, "look", patient, FIRST_LOOK if patient in proposed else 0.0)
    if call.name == SHAP:
        kinds = {found.of_patient: found.wrong for found in truth.findings.values()}
        patient = arguments["patient_id"]
        telling = arguments["feature"] in TELLING.get(kinds.get(patient, ""), ())
        return _once(seen, "shap", patient, TELLING_SHAP) if telling else 0.0
    return 0.0


def _once(seen: set[tuple[str, str]], what: str, name: str, gain: float) -> float:
    if (what, name) in seen:
        return 0.0
    seen.add((what, name))
    return gain


def _decision(truth: Truth, call: Call) -> float:
    found = truth.findings.get(call.arguments["proposal_id"])
    if found is None:
        return 0.0
    if call.name == FLAG:
        return RIGHT_FLAG if found.wrong else WRONG_FLAG
    return WRONG_APPROVAL if found.wrong else RIGHT_APPROVAL


def _most(truth: Truth) -> float:
    findings = truth.findings.values()
    decisions = sum(RIGHT_FLAG if found.wrong else RIGHT_APPROVAL for found in findings)
    return decisions + FIRST_LOOK * len(findings) + TELLING_SHAP * sum(found.wrong in TELLING for found in findings)
