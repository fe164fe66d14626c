"""What a review of drugs must say: interacting pairs, the gravest severity, the action, the forbidden drug."""

from __future__ import annotations

from collections.abc import Sequence

from common.records import Record
from envs.clinic.interactions.facts import DRUGS, FORBIDDEN
from envs.clinic.interactions.rules import ACTIONS, NONE, SEVERITIES, interactions


class Review(Record):
    """`severity` and `action` are the gravest of the pairs; of pairs of one severity the strictest action counts."""

    pairs: tuple[str, ...]
    severity: str
    action: str
    allergy: str


def reviewed(drugs: Sequence[str], allergies: Sequence[str]) -> Review:
    """The review of a list."""
    found = list(interactions(drugs))
    severity = max((rule.severity for _, rule in found), key=SEVERITIES.index, default=NONE)
    actions = [rule.action for _, rule in found if rule.severity == severity]
    classes = {name for allergy in allergies for name in FORBIDDEN[allergy]}
    forbidden = sorted(drug for drug in set(drugs) if DRUGS[drug].drug_class in classes)
    return Review(
        pairs=tuple(pair for pair, _ in found),
        severity=severity,
        action=max(actions, key=ACTIONS.index, default=NONE),
        allergy=forbidden[0] if forbidden else NONE,
    )
