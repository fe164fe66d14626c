"""The review of a list of drugs found again from the JSON of the world, by pairs listed by name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from envs.clinic_checker.interactions.listed import CLASSES, ORDER, PAIRS, STRICTNESS


def disagreement(context: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    """Why the answer is not what list and allergies say, or None when it is. Raises ValueError for another patient."""
    (patient,) = context["world"]["patients"]
    if context["request"] != f"Review the drugs of {patient['patient_id']}.":
        raise ValueError(f"the request {context['request']!r} is not about {patient['patient_id']}")
    drugs = [one["drug"] for one in patient["medications"]]
    if len(set(drugs)) < len(drugs):
        raise ValueError(f"a drug is listed twice: {drugs}")
    found = {
        "+".join(sorted(pair)): PAIRS[frozenset(pair)] for pair in combinations(drugs, 2) if frozenset(pair) in PAIRS
    }
    gravest = max((ORDER.index(severity) for severity, _ in found.values()), default=0)
    strict = max(
        (STRICTNESS.index(action) for name, action in found.values() if ORDER.index(name) == gravest), default=0
    )
    forbidden = [drug for drug in drugs if any(drug in CLASSES[one["substance"]] for one in patient["allergies"])]
    if len(forbidden) > 1:
        raise ValueError(f"the allergy forbids {forbidden}")
    wanted = {
        "pairs": sorted(found),
        "severity": ORDER[gravest],
        "action": STRICTNESS[strict],
        "allergy": forbidden[0] if forbidden else "none",
    }
    said = {**answer, "pairs": sorted(answer["pairs"])}
    return None if said == wanted else f"the label says {said}, the list {wanted}"
