"""The eight tools as the policy sees them: names, schemas, and nothing about what is right."""

from __future__ import annotations

from typing import Any

from common.records import Tool
from envs.oversight.answers import CLINICAL, TRIAL
from envs.oversight.attribution import FEATURES
from envs.oversight.cohort_test import GROUPS, OUTCOMES
from envs.oversight.protocol import CLAUSES
from envs.oversight.trial import BIASES, TYPES

REVIEW, INVESTIGATE, SHAP, COHORT, TEMPORAL = (
    "review_proposal",
    "investigate_patient",
    "request_shap",
    "cohort_analysis",
    "temporal_audit",
)
FLAG, APPROVE, SUBMIT = "flag_error", "approve", "submit_audit_report"
FIELDS = ("age", "comorbidity_index", "enrollment_date", "treatment_start", "death_date")
"""What a finding may cite of a record."""
MOST_FINDINGS = 20
_PROPOSAL = {"type": "string", "pattern": r"^PROP-\d{3}$"}
_PATIENT = {"type": "string", "pattern": r"^P\d{4}$"}
_CONFIDENCE = {"type": "number", "minimum": 0, "maximum": 1}


def _tool(name: str, description: str, optional: tuple[str, ...] = (), **properties: dict[str, Any]) -> Tool:
    return Tool(
        name=name,
        description=description,
        parameters={
            "type": "object",
            "properties": properties,
            "required": [key for key in properties if key not in optional],
            "additionalProperties": False,
        },
    )


def _one_of(names: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "string", "enum": list(names)}


TOOLS = (
    _tool(REVIEW, "what the assistant claims", proposal_id=_PROPOSAL),
    _tool(
        INVESTIGATE,
        "the record of a patient",
        optional=("part",),
        patient_id=_PATIENT,
        part=_one_of((TRIAL, CLINICAL)),
    ),
    _tool(SHAP, "what a feature adds to the predicted risk", patient_id=_PATIENT, feature=_one_of(FEATURES)),
    _tool(COHORT, "the arms compared", feature=_one_of(tuple(GROUPS)), outcome=_one_of(tuple(OUTCOMES))),
    _tool(TEMPORAL, "a patient's dates and days between them", patient_id=_PATIENT),
    _tool(
        FLAG,
        "decides that a proposal is wrong, and cites the clause and the value that show it",
        optional=("reason", "confidence"),
        proposal_id=_PROPOSAL,
        error_type=_one_of(TYPES),
        clause=_one_of(CLAUSES),
        field=_one_of(FIELDS),
        value={"type": ["string", "number", "null"]},
        reason={"type": "string", "maxLength": 400},
        confidence=_CONFIDENCE,
    ),
    _tool(APPROVE, "decides that it is right", optional=("confidence",), proposal_id=_PROPOSAL, confidence=_CONFIDENCE),
    _tool(
        SUBMIT,
        'ends the audit; findings like "PROP-001:invalid_age"',
        findings={
            "type": "array",
            "items": {"type": "string", "pattern": r"^PROP-\d{3}:[a-z_]+$"},
            "maxItems": MOST_FINDINGS,
        },
        bias=_one_of(BIASES),
    ),
)
