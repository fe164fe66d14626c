"""Conditions: criteria that all hold, codes of ICD-10-CM, who is called, where the patient goes; a source each.

The criteria are our reading of the source, cut to the findings that are here; where the source leaves room, ours are
stated to the policy by a tool. A complaint has several conditions of which exactly one holds of a case, and one that
holds where no other does. Codes: ICD-10-CM, April 2026 (CMS).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from envs.clinic.diagnosis.belly import BELLY, MIND
from envs.clinic.diagnosis.chest import BREATH, CHEST
from envs.clinic.diagnosis.condition import Condition
from envs.clinic.diagnosis.findings import FINDINGS
from envs.clinic.diagnosis.head import HEAD, WEAK

COMPLAINTS: Mapping[str, tuple[Condition, ...]] = {
    "chest pain": CHEST,
    "shortness of breath": BREATH,
    "headache": HEAD,
    "sudden weakness": WEAK,
    "abdominal pain": BELLY,
    "confusion": MIND,
}
"""The conditions that are considered, by what the patient comes with."""
CONDITIONS: dict[str, Condition] = {one.code: one for some in COMPLAINTS.values() for one in some}


def holding(complaint: str, facts: Mapping[str, float | str]) -> Iterator[Condition]:
    """The conditions of a complaint that hold; what remains where none does."""
    found = [one for one in COMPLAINTS[complaint] if one.holds(facts)]
    yield from found or [one for one in COMPLAINTS[complaint] if not one.criteria]


def needed(complaint: str) -> list[str]:
    """The findings on which a complaint's conditions rest, in the order of the table."""
    wanted = frozenset[str]().union(*(one.needs for one in COMPLAINTS[complaint]))
    return [name for name in FINDINGS if name in wanted]
