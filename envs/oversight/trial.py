"""What a trial under audit is made of: its protocol, its patients and the proposals of an assistant.

Dates are ISO texts, because that is how the policy reads and cites them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from common.records import Record

AGE, ORDER, WINDOW, OVERRIDE = (
    "invalid_age",
    "temporal_inconsistency",
    "protocol_window_violation",
    "comorbidity_override_miss",
)
TYPES = (AGE, ORDER, WINDOW, OVERRIDE)
"""The types of error, one vocabulary for the policy and the truth."""
ARMS = ("treatment", "control")
STAGES = ("I", "II", "III", "IV")
NO_BIAS = "none"
BIASES = (NO_BIAS, "ethnicity", "gender", "site")
"""What the clauses on equity may find unbalanced; `site` compares rural sites with the others."""


class Tier(Record):
    """How hard a trial is. `patients` in the cohort, a range of `proposals`, the `types` of error in it.

    `equity`: whether the protocol limits the imbalance of the cohort, so that the report must name a bias.
    `amended`: whether protocols may have an amendment.
    `first`: the proposals are about the first patients, in any order, so that a model of few parameters, which learns
    to copy one of forty ids late or never, can call the tools.
    """

    name: str
    patients: int
    proposals: tuple[int, int]
    types: tuple[str, ...]
    ages: tuple[tuple[int, int], ...]
    windows: tuple[int, ...]
    equity: bool = False
    amended: bool = True
    first: bool = False


_FEW_AGES = ((35, 75), (40, 80), (45, 85))
_MORE_AGES = ((18, 75), (21, 80), (30, 85), (40, 90))
TIERS = {
    tier.name: tier
    for tier in (
        Tier(
            name="duo",
            patients=40,
            proposals=(2, 2),
            types=(AGE,),
            ages=_FEW_AGES,
            windows=(21, 24, 28),
            amended=False,
            first=True,
        ),
        Tier(name="easy", patients=40, proposals=(4, 6), types=(AGE,), ages=_FEW_AGES, windows=(21, 24, 28)),
        Tier(
            name="medium",
            patients=60,
            proposals=(6, 8),
            types=(AGE, ORDER, WINDOW),
            ages=_MORE_AGES,
            windows=(18, 21, 24, 28),
        ),
        Tier(
            name="hard",
            patients=80,
            proposals=(8, 11),
            types=TYPES,
            ages=(*_MORE_AGES, (35, 85)),
            windows=(14, 18, 21, 24),
            equity=True,
        ),
    )
}


class Patient(Record, array_like=True):
    """A patient's record. None: not recorded, or alive."""

    patient_id: str
    age: int | None
    gender: str
    ethnicity: str
    group: str
    stage: str
    enrollment_date: str
    treatment_start: str
    death_date: str | None
    outcome: str
    site: str
    country: str
    drug: str
    comorbidity_index: int
    ecog: int
    prior_chemo: int
    ldh: int
    bmi: int
    insurance: str
    smoking: str
    tumor_site: str
    histology: str
    systolic: int
    diastolic: int
    medication: str

    def but(self, **changes: Any) -> Patient:
        """The same with some fields changed."""
        return msgspec.structs.replace(self, **changes)


class Amendment(Record):
    """Clause 5.5: `moves` the field `age_high` or `window` of the protocol to `value`, or nothing."""

    moves: str
    value: int
    text: str


class Equity(Record):
    """Limits of imbalance, percent. `group_share`: of an ethnic group in the control arm; `male_share`: of men in an
    arm; `gap`: of the stage-adjusted difference in deaths between rural and other sites, percentage points."""

    group_share: int
    male_share: int
    gap: int


class Protocol(Record):
    """The rules of a trial as they are first stated; the properties are what holds after the amendment.

    Ages in years, both bounds included; `window` and `extension` (Stage IV) in days from enrolment to treatment;
    `override` is the comorbidity index above which the extension is void, None where there is no such rule.
    """

    trial_id: str
    age_low: int
    age_high: int
    window: int
    extension: int
    override: int | None = None
    amendment: Amendment | None = None
    equity: Equity | None = None

    def moved(self, field: str) -> bool:
        """Whether the amendment moves this field."""
        return self.amendment is not None and self.amendment.moves == field

    @property
    def oldest(self) -> int:
        """The highest age that is allowed."""
        return self.amendment.value if self.amendment and self.moved("age_high") else self.age_high

    @property
    def days(self) -> int:
        """The window that holds, days."""
        return self.amendment.value if self.amendment and self.moved("window") else self.window


class Proposal(Record):
    """What the assistant says of a patient: that the patient keeps the protocol and stays in the trial."""

    proposal_id: str
    subject: str
    claims: str
    cites: tuple[str, ...]
    confidence: float


class Trial(Record):
    """All that the policy may find out."""

    tier: str
    excerpt: str
    protocol: Protocol
    patients: tuple[Patient, ...]
    proposals: tuple[Proposal, ...]

    @property
    def context(self) -> dict[str, Any]:
        """As the context of a task: JSON, with the names of the patients' fields beside their values."""
        return {**as_json(self), "fields": list(Patient.__struct_fields__)}


class Finding(Record):
    """The truth about one proposal. `wrong` is the type of its error, empty where there is none.

    `clauses` may be cited for it, and `evidence` is what each field that proves it says.
    """

    of_patient: str
    wrong: str = ""
    clauses: tuple[str, ...] = ()
    evidence: dict[str, str | int | None] = {}


class Truth(Record):
    """The truth about a trial: findings by proposal, and the bias; `graded_bias` where the report must name it.

    `twin` (0 or 1) says which of two trials this is that nobody can tell apart without reading records.
    """

    findings: dict[str, Finding]
    bias: str
    graded_bias: bool
    twin: int


def as_json(record: Record) -> dict[str, Any]:
    """A record as JSON reads it, with lists for tuples."""
    content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return content


def trial_of(context: dict[str, Any]) -> Trial:
    """The trial of a task's context."""
    return msgspec.convert(context, Trial)
