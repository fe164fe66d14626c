"""Patients of whom exactly one condition of their complaint holds, and their twins, who differ in one finding."""

from __future__ import annotations

import random
from collections.abc import Mapping

from common.records import Record
from envs.clinic.diagnosis.condition import NOBODY
from envs.clinic.diagnosis.conditions import CONDITIONS, holding, needed
from envs.clinic.diagnosis.findings import FINDINGS, LAB_CODES, Facts, place
from envs.clinic.diagnosis.pairs import PAIRS, SIMPLE_PAIRS, Pair, Value
from envs.clinic.domain import Parameters
from envs.clinic.world import MONTHS, Allergy, Patient, Problem, Reading, Said, World

FIRST, FULL = "first", "full"
ALLERGIES = {"NSAID": "ibuprofen", "cephalosporin": "cefazolin", "sulfonamide": "sulfamethoxazole"}
"""Substances by the class that an allergy forbids."""
_ALLERGIC, _DECOY, _HARMS = 0.4, 0.7, 0.4
_DECOYS: Mapping[str, tuple[float, float]] = {
    "esr": (24, 38),
    "crp": (8, 16),
    "sodium": (131, 134),
    "glucose": (132, 180),
    "lipase": (64, 110),
    "potassium": (3.2, 3.4),
    "urine_leucocytes": (6, 9),
    "nt_probnp": (140, 260),
}
"""Values beside the range of the healthy that decide nothing where a complaint does not ask for them."""
_CLOCK_MIN = 600
DIABETES = Problem(code="E11.9", name="type 2 diabetes")
DIABETIC = ("sudden weakness", "confusion")
"""Complaints of patients with diabetes, because some of the codes say so."""
_OWN = {
    "chest pain": ("chest_pain", "wall"),
    "headache": ("headache", "dull"),
    "abdominal pain": ("belly_pain", "cramps"),
    "sudden weakness": ("weakness", "lasting"),
}
"""What the patient says of the complaint where a pair does not."""


class Answer(Record):
    """The label. `gives` and `calls` are what is due at once, empty and `nobody` for nothing; `needed` what must be
    read to tell the condition from its twin's; `rank` is whether it is the graver of the two. In the tier `first`
    nothing is due, and `place` is empty: nobody asks for it."""

    subject: str
    diagnosis: str
    place: str
    calls: str
    gives: str
    never: tuple[str, ...]
    needed: tuple[str, ...]
    rank: str


def draw(tier: str, rng: random.Random) -> Parameters:
    """A pair of conditions, findings that both twins have, and the one that tells them apart."""
    while True:
        drawn = _draw(tier, rng)
        if _good(drawn):
            return drawn


def _draw(tier: str, rng: random.Random) -> Parameters:
    at = rng.choice(SIMPLE_PAIRS) if tier == FIRST else rng.randrange(len(PAIRS))
    pair = PAIRS[at]
    facts = {name: _healthy(rng, name) for name in FINDINGS}
    facts |= {name: _value(rng, name, value) for name, value in pair.both.items()}
    if pair.complaint in _OWN and facts[_OWN[pair.complaint][0]] == "none":
        name, value = _OWN[pair.complaint]
        facts[name] = value
    asked = needed(pair.complaint)
    free = [name for name in _DECOYS if name not in asked and name not in pair.both]
    if rng.random() < _DECOY and free:
        decoy = rng.choice(free)
        facts[decoy] = _number(rng, decoy, _DECOYS[decoy])
    if any(CONDITIONS[code].unless for code in pair.codes):
        facts["potassium"] = _number(rng, "potassium", (3.1, 3.4) if rng.random() < _HARMS else (3.5, 5.2))
    return {
        "pair": at,
        "patient": f"P{rng.randint(1, 9) if tier == FIRST else rng.randint(100, 9999)}",
        "age": rng.randint(max(pair.ages[0], 50) if "M31.6" in pair.codes else pair.ages[0], pair.ages[1]),
        "sex": pair.sex or rng.choice(("female", "male")),
        "allergy": rng.choice(tuple(ALLERGIES)) if rng.random() < _ALLERGIC else "",
        "facts": facts,
        "values": [_value(rng, pair.tells, value) for value in pair.values],
        "first": rng.randrange(2),
    }


def _healthy(rng: random.Random, name: str) -> float | str:
    one = FINDINGS[name]
    return one.normal if one.texts else _number(rng, name, (one.low, one.high))


def _value(rng: random.Random, name: str, value: Value) -> float | str:
    return value if isinstance(value, str) else _number(rng, name, value)


def _number(rng: random.Random, name: str, bounds: tuple[float, float]) -> float:
    scale = 10 ** FINDINGS[name].decimals
    number = rng.randint(round(bounds[0] * scale), round(bounds[1] * scale))
    return number / scale if scale > 1 else number


def _good(parameters: Parameters) -> bool:
    """Whether exactly the pair's conditions hold."""
    pair = PAIRS[parameters["pair"]]
    found = [[one.code for one in holding(pair.complaint, facts_of(parameters, twin))] for twin in (0, 1)]
    return found == [[pair.codes[which(parameters, twin)]] for twin in (0, 1)]


def which(parameters: Parameters, twin: int) -> int:
    """Which of the pair's two conditions a twin has."""
    first: int = parameters["first"]
    return (first + twin) % 2


def pair_of(parameters: Parameters) -> Pair:
    """The pair of the parameters."""
    return PAIRS[parameters["pair"]]


def facts_of(parameters: Parameters, twin: int) -> Facts:
    """The findings of a twin."""
    return {**parameters["facts"], pair_of(parameters).tells: parameters["values"][which(parameters, twin)]}


def answer_of_case(tier: str, parameters: Parameters, twin: int) -> Answer:
    """The label of a twin."""
    pair, at = pair_of(parameters), which(parameters, twin)
    condition = CONDITIONS[pair.codes[at]]
    rank = "first" if at == 0 else "second"
    if tier == FIRST:
        return Answer(
            subject=parameters["patient"],
            diagnosis=condition.code,
            place="",
            calls=NOBODY,
            gives="",
            never=(),
            needed=(place(pair.tells),),
            rank=rank,
        )
    read = {pair.tells}.union(*(CONDITIONS[code].needs for code in pair.codes))
    drug, harms = condition.gives, condition.harms(facts_of(parameters, twin))
    return Answer(
        subject=parameters["patient"],
        diagnosis=condition.code,
        place=condition.place,
        calls=condition.calls,
        gives="" if harms or forbidden(drug, parameters["allergy"]) else drug,
        never=(*condition.never, *([drug] if harms else [])),
        needed=tuple(sorted({place(name) for name in read})),
        rank=rank,
    )


DRUG_CLASSES = {"aspirin": "NSAID", "ceftriaxone": "cephalosporin"}
"""Drugs that an allergy to a class forbids: US labels, section 4."""


def forbidden(drug: str, allergy: str) -> bool:
    """Whether an allergy to a class forbids a drug."""
    return bool(allergy) and DRUG_CLASSES.get(drug) == allergy


def world_of_case(parameters: Parameters, twin: int) -> World:
    """The world of a twin."""
    facts = facts_of(parameters, twin)
    patient = Patient(
        patient_id=parameters["patient"],
        age_months=parameters["age"] * MONTHS,
        sex=parameters["sex"],
        weight_kg=70.0,
        height_cm=170.0,
        allergies=_allergies(parameters["allergy"]),
        problems=(DIABETES,) if pair_of(parameters).complaint in DIABETIC else (),
        readings=tuple(
            Reading(t_min=0, code=name, value=float(facts[name]), unit=one.unit)
            for name, one in FINDINGS.items()
            if not one.texts
        ),
        said=tuple(
            Said(part=one.tool, topic=name if name in LAB_CODES else one.topic, text=one.texts[str(facts[name])])
            for name, one in FINDINGS.items()
            if one.texts
        ),
    )
    return World(clock_min=_CLOCK_MIN, patients=(patient,))


def _allergies(drug_class: str) -> tuple[Allergy, ...]:
    if not drug_class:
        return ()
    return (Allergy(substance=ALLERGIES[drug_class], drug_class=drug_class, reaction="hives"),)


def request_of(parameters: Parameters) -> str:
    """What is asked."""
    who = f"{parameters['patient']}: {parameters['sex']}, {parameters['age']} years"
    return f"Patient {who}, comes with {pair_of(parameters).complaint}."
