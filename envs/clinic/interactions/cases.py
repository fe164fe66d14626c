"""Lists of drugs with or without an interaction, and their twins, which differ in one drug or in the allergy."""

from __future__ import annotations

import random

from envs.clinic.domain import Parameters
from envs.clinic.interactions.facts import BENIGN
from envs.clinic.interactions.pairs import SWAPS
from envs.clinic.interactions.review import FORBIDDEN
from envs.clinic.interactions.rules import NONE
from envs.clinic.world import MONTHS, Allergy, Medication, Patient, World

SUSPECTS = {
    "amoxicillin": "penicillins",
    "dicloxacillin": "penicillins",
    "cephalexin": "cephalosporins",
    "cefuroxime": "cephalosporins",
}
"""Antibiotics that an allergy may forbid."""
WITHOUT_SUSPECT = frozenset({"warfarin", "methotrexate", "allopurinol", "azathioprine"})
"""Drugs beside which no antibiotic is put: sources disagree on such pairs."""
_OTHER_ALLERGIES = {"penicillins": ("sulfonamides",), "cephalosporins": ("sulfonamides",), NONE: ("sulfonamides",)}
"""Allergies that forbid nothing on the list: penicillins and cephalosporins may cross-react."""
_CONFLICT, _THIRD, _INTERACTS, _BY_ALLERGY = 0.75, 0.5, 0.5, 0.2
_START_MIN, _CLOCK_MIN = 0, 1440


def draw(tier: str, rng: random.Random) -> Parameters:
    """A list of 3 to 8 drugs in an order, an allergy, and the twin's change."""
    swap = rng.choice(SWAPS)
    held = {swap.partner, swap.harmful, swap.near}
    third = swap.third if tier == "full" and rng.random() < _THIRD else ""
    suspect = "" if held & WITHOUT_SUSPECT or held & SUSPECTS.keys() else rng.choice(tuple(SUSPECTS))
    fillers = [name for name in BENIGN if name not in held]
    chosen = rng.sample(fillers, rng.randint(1, 4) if tier == "full" else 1)
    interacts = rng.random() < _INTERACTS
    mine, its = (swap.harmful, swap.near) if interacts else (swap.near, swap.harmful)
    drugs = [swap.partner, mine, *chosen, *([suspect] if suspect else []), *([third] if third else [])]
    rng.shuffle(drugs)
    own = SUSPECTS.get(suspect, NONE)
    conflict = own != NONE and rng.random() < _CONFLICT
    other = rng.choice(_OTHER_ALLERGIES[own])
    by_allergy = own != NONE and rng.random() < _BY_ALLERGY
    return {
        "patient": f"P{rng.randint(100, 9999)}",
        "age": rng.randint(30, 88),
        "sex": rng.choice(("female", "male")),
        "drugs": drugs,
        "allergy": own if conflict else other,
        "twin": {"allergy": other if conflict else own} if by_allergy else {"drug": mine, "to": its},
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
