"""Lists of drugs with or without an interaction, and their twins, which differ in one drug or in the allergy."""

from __future__ import annotations

import random

from envs.clinic.domain import Parameters
from envs.clinic.interactions.facts import BENIGN, FORBIDDEN
from envs.clinic.interactions.pairs import SWAPS
from envs.clinic.world import MONTHS, Allergy, Medication, Patient, World

ANTIBIOTICS = {
    "amoxicillin": "penicillins",
    "dicloxacillin": "penicillins",
    "cephalexin": "cephalosporins",
    "cefuroxime": "cephalosporins",
}
"""Antibiotics that an allergy may forbid."""
OTHERS = {"cetirizine": "antihistamines", "polyethylene_glycol": "polyethylene_glycol", "latanoprost": "prostaglandins"}
"""Drugs without interactions of weight that an allergy may forbid."""
WITHOUT_ANTIBIOTIC = frozenset({"warfarin", "methotrexate", "allopurinol", "azathioprine"})
"""Drugs beside which no antibiotic is put: sources disagree on such pairs."""
HARMLESS = "sulfonamides"
"""An allergy that forbids nothing on most lists. Penicillins and cephalosporins may cross-react, so that neither is one
where the other is on the list."""
_THIRD, _INTERACTS, _BY_ALLERGY = 0.5, 0.5, 0.2
_START_MIN, _CLOCK_MIN = 0, 1440


def draw(tier: str, rng: random.Random) -> Parameters:
    """A list of 4 to 8 drugs in an order, an allergy, and the twin's change.

    Each list holds two or three drugs of classes that an allergy may forbid, so that who says that nothing is wrong, or
    forbids one of them, is seldom right.
    """
    swap = rng.choice(SWAPS)
    held = {swap.partner, swap.harmful, swap.near}
    third = swap.third if tier == "full" and rng.random() < _THIRD else ""
    suspects = rng.sample(sorted(OTHERS), 2)
    if not held & WITHOUT_ANTIBIOTIC and not held & ANTIBIOTICS.keys():
        suspects = [rng.choice(tuple(ANTIBIOTICS)), *suspects[tier == "first" :]]
    fillers = [name for name in BENIGN if name not in held | OTHERS.keys()]
    chosen = rng.sample(fillers, rng.randint(0, 2) if tier == "full" else 0)
    interacts = rng.random() < _INTERACTS
    mine, its = (swap.harmful, swap.near) if interacts else (swap.near, swap.harmful)
    drugs = [swap.partner, mine, *suspects, *chosen, *([third] if third else [])]
    rng.shuffle(drugs)
    allergy, other = rng.sample([HARMLESS, *({**ANTIBIOTICS, **OTHERS}[name] for name in suspects)], 2)
    return {
        "patient": f"P{rng.randint(100, 9999)}",
        "age": rng.randint(30, 88),
        "sex": rng.choice(("female", "male")),
        "drugs": drugs,
        "allergy": allergy,
        "twin": {"allergy": other} if rng.random() < _BY_ALLERGY else {"drug": mine, "to": its},
    }


def drugs_of(parameters: Parameters, twin: int) -> list[str]:
    """The list of a twin."""
    change = parameters["twin"]
    if not twin or "drug" not in change:
        return list(parameters["drugs"])
    return [change["to"] if drug == change["drug"] else drug for drug in parameters["drugs"]]


def allergy_of(parameters: Parameters, twin: int) -> str:
    """What a twin is allergic to."""
    allergy: str = parameters["twin"].get("allergy", parameters["allergy"]) if twin else parameters["allergy"]
    return allergy


def world_of_case(parameters: Parameters, twin: int) -> World:
    """The world of a twin."""
    assert allergy_of(parameters, twin) in FORBIDDEN
    patient = Patient(
        patient_id=parameters["patient"],
        age_months=parameters["age"] * MONTHS,
        sex=parameters["sex"],
        weight_kg=70.0,
        height_cm=170.0,
        allergies=(Allergy(substance=allergy_of(parameters, twin)),),
        medications=tuple(
            Medication(drug=drug, dose_mg=0.0, route="as on the label", every_h=24.0, start_min=_START_MIN)
            for drug in drugs_of(parameters, twin)
        ),
    )
    return World(clock_min=_CLOCK_MIN, patients=(patient,))
