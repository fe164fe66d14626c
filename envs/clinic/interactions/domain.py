"""drug_interaction: a list of drugs and an allergy; which pairs interact, how gravely, and what must be done."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, ClassVar

from envs.clinic.domain import Case, Domain, Grade, Parameters, Plan, Play, Truth, Violation, Weights, Write
from envs.clinic.instruments import Instrument
from envs.clinic.interactions import cases, policies, tools
from envs.clinic.interactions.review import reviewed
from envs.clinic.interactions.rules import CONTRAINDICATED, MAJOR, NONE, SEVERITIES
from envs.clinic.world import AGENT, REFUSED, World, as_json
from envs.contract.probing import Unit

REPEAT_COST = 0.1
"""What each call costs that was made before, of the process part."""
MISSED_CONTRAINDICATION = Violation(rule="misses a contraindicated pair", severity=5)
MISSED_ALLERGY = Violation(rule="misses an allergy", severity=5)
MISSED_MAJOR = Violation(rule="misses a major interaction", severity=4)


class Interactions(Domain):
    """See the module."""

    name: ClassVar[str] = "drug_interaction"
    tiers: ClassVar[tuple[str, ...]] = ("first", "full")
    weights: ClassVar[Weights] = Weights(accuracy=0.40, format=0.15, process=0.25, safety=0.20)
    turns: ClassVar[int] = 16

    def instruments(self, tier: str) -> tuple[Instrument, ...]:
        """See `Domain`."""
        return tools.FIRST if tier == "first" else tools.WHOLE

    def instructions(self, tier: str) -> str:
        """See `Domain`."""
        return (
            f"You review lists of drugs. Two drugs interact where {tools.GUIDE} names a property of each. Submit all "
            "such pairs, the gravest severity with its strictest action, and the drug that the patient's allergy "
            'forbids; "none" where there is none.'
        )

    def draw(self, tier: str, rng: random.Random) -> Parameters:
        """See `envs.clinic.interactions.cases`."""
        return cases.draw(tier, rng)

    def make(self, tier: str, parameters: Parameters, twin: int) -> Case:
        """See `Domain`."""
        review = reviewed(cases.drugs_of(parameters, twin), [cases.allergy_of(parameters, twin)])
        return Case(
            world=cases.world_of_case(parameters, twin),
            request=f"Review the drugs of {parameters['patient']}.",
            truth=Truth(answer=as_json(review), klass=f"severity {review.severity}"),
        )

    def grade(self, world: World, truth: Truth) -> Grade:
        """All of the answer or nothing; the list, the allergies and the facts of all drugs read, less repeated calls;
        nothing grave missed."""
        (patient,) = world.patients
        submitted = [one.payload for one in world.done(tools.SUBMIT, patient_id=patient.patient_id)]
        said = submitted[-1] if submitted else None
        violations = _violations(said, truth.answer)
        return Grade(
            accuracy=float(said is not None and _right(said, truth.answer)),
            process=_process(world),
            safety=float(said is not None and not violations),
            violations=violations,
        )

    def oracle(self, opening: str, write: Write) -> Play:
        """See `Domain`."""
        return policies.oracle(opening, write)

    def guesser(self, rng: random.Random) -> Plan:
        """See `Domain`."""
        return policies.guesser(rng)

    def blind(self) -> Mapping[str, Plan]:
        """See `Domain`."""
        return policies.BLIND

    def units(self, case: World, request: str, truth: Truth) -> tuple[Unit, ...]:
        """The request and the allergy, which must not tell whether a pair interacts, nor the list how many do."""
        positive = truth.answer["severity"] != NONE
        (patient,) = case.patients
        allergies = " ".join(one.substance for one in patient.allergies)
        return (
            Unit(channel="request", text=f"{request} {patient.years} {patient.sex}", positive=positive),
            Unit(channel="beside", text=f"{allergies} {'x ' * len(patient.medications)}", positive=positive),
        )


def _right(said: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    pairs = {"+".join(sorted(pair.split("+"))) for pair in said["pairs"]}
    return pairs == set(answer["pairs"]) and all(said[one] == answer[one] for one in ("severity", "action", "allergy"))


def _process(world: World) -> float:
    (patient,) = world.patients
    asked = {drug for event in world.done(tools.INFO) for drug in event.payload["drugs"]}
    taken = [one.drug for one in patient.medications]
    shares = [
        float(any(world.done(tools.LIST, patient_id=patient.patient_id))),
        float(any(world.done(tools.ALLERGIES, patient_id=patient.patient_id))),
        sum(drug in asked for drug in taken) / len(taken),
    ]
    calls = [one for one in world.events if one.actor == AGENT and one.kind not in (tools.SUBMIT, REFUSED)]
    repeats = len(calls) - len({f"{one.kind} {sorted(one.payload.items())}" for one in calls})
    return max(0.0, sum(shares) / len(shares) - REPEAT_COST * repeats)


def _violations(said: Mapping[str, Any] | None, answer: Mapping[str, Any]) -> tuple[Violation, ...]:
    if said is None:
        return ()
    found = []
    less = SEVERITIES.index(said["severity"]) < SEVERITIES.index(answer["severity"])
    if less and answer["severity"] == CONTRAINDICATED:
        found.append(MISSED_CONTRAINDICATION)
    if less and answer["severity"] == MAJOR:
        found.append(MISSED_MAJOR)
    if answer["allergy"] not in (NONE, said["allergy"]):
        found.append(MISSED_ALLERGY)
    return tuple(found)
