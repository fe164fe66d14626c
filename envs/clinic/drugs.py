"""Drugs that tools can give at once, with the class that an allergy names and the largest single oral dose, mg.

Doses: US labels, of adults. Acetaminophen: 1,000 mg (OTC label, Drug Facts). Ibuprofen: 800 mg (prescription label).
None: no ceiling is checked, nor are the smaller ones of children. Aspirin and ibuprofen share the class NSAID: the
labels contraindicate both after an allergic reaction to either.
"""

from __future__ import annotations

from typing import NamedTuple


class Drug(NamedTuple):
    """See the module."""

    drug_class: str
    most_mg: float | None = None


NSAID, PENICILLIN = "NSAID", "penicillin"
DRUGS = {
    "paracetamol": Drug("", 1000),
    "ibuprofen": Drug(NSAID, 800),
    "aspirin": Drug(NSAID),
    "amoxicillin": Drug(PENICILLIN),
    "ondansetron": Drug(""),
}
NAMES = tuple(DRUGS)
