"""The eight tools as the policy sees them: names, schemas, and nothing about what is right."""

from __future__ import annotations

from envs.contract.tool_schema import one_of, tool
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
PROPOSAL_ID, PATIENT_ID = r"PROP-[0-9]{3}", r"P[0-9]{4}"
_PROPOSAL = {"type": "string", "pattern": rf"^{PROPOSAL_ID}$"}
_PATIENT = {"type": "string", "pattern": rf"^{PATIENT_ID}$"}
_CONFIDENCE = {"type": "number", "minimum": 0, "maximum": 1}


TOOLS = (
    tool(REVIEW, "what the assistant claims", proposal_id=_PROPOSAL),
    tool(
        INVESTIGATE,
        "the record of a patient",
        optional=("part",),
        patient_id=_PATIENT,
        part=one_of((TRIAL, CLINICAL)),
    ),
    tool(SHAP, "what a feature adds to the predicted risk", patient_id=_PATIENT, feature=one_of(FEATURES)),
    tool(COHORT, "the arms compared", feature=one_of(tuple(GROUPS)), outcome=one_of(tuple(OUTCOMES))),
    tool(TEMPORAL, "a patient's dates and days between them", patient_id=_PATIENT),
    tool(
        FLAG,
        "decides that a proposal is wrong, and cites the clause and the value that show it",
        optional=("reason", "confidence"),
        proposal_id=_PROPOSAL,
        error_type=one_of(TYPES),
        clause=one_of(CLAUSES),
        field=one_of(FIELDS),
        value={"type": ["string", "number", "null"]},
        reason={"type": "string", "maxLength": 400},
        confidence=_CONFIDENCE,
    ),
    tool(APPROVE, "decides that it is right", optional=("confidence",), proposal_id=_PROPOSAL, confidence=_CONFIDENCE),
    tool(
        SUBMIT,
        'ends the audit; findings like "PROP-001:invalid_age"',
        findings={
            "type": "array",
            "items": {"type": "string", "pattern": r"^PROP-\d{3}:[a-z_]+$"},
            "maxItems": MOST_FINDINGS,
        },
        bias=one_of(BIASES),
    ),
)
