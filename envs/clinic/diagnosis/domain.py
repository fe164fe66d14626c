"""clinical_diagnosis: what a patient has, coded; where the patient goes; whom to call and what to give at once."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from envs.clinic.diagnosis import cases, policies, tools
from envs.clinic.diagnosis.cases import Answer
from envs.clinic.diagnosis.findings import VITALS
from envs.clinic.diagnosis.grade import graded
from envs.clinic.domain import Case, Domain, Grade, Parameters, Plan, Play, Truth, Weights, Write
from envs.clinic.instruments import Instrument, use
from envs.clinic.world import World, as_json
from envs.contract.probing import Unit


class Diagnosis(Domain):
    """See the module."""

    name: ClassVar[str] = "clinical_diagnosis"
    tiers: ClassVar[tuple[str, ...]] = (cases.FIRST, cases.FULL)
    weights: ClassVar[Weights] = Weights(accuracy=0.35, format=0.15, process=0.25, safety=0.25)
    turns: ClassVar[int] = 20

    def instruments(self, tier: str) -> tuple[Instrument, ...]:
        """See Domain."""
        return tools.FIRST if tier == cases.FIRST else tools.WHOLE

    def instructions(self, tier: str) -> str:
        """See Domain."""
        if tier == cases.FIRST:
            return tools.SIMPLE_RULES
        return (
            f"You find out what a patient has. {tools.DIFFERENTIAL} lists the codes that are considered with a "
            f"complaint, {tools.CRITERIA} what each asks for and what is due: exactly one holds. Read the findings "
            f"that tell them apart, do what is due at once, and end with {tools.SUBMIT}. No CT of the abdomen where "
            "hcg is above 25; alteplase only after cardiology or neurology was called."
        )

    def draw(self, tier: str, rng: random.Random) -> Parameters:
        """See `envs.clinic.diagnosis.cases`."""
        return cases.draw(tier, rng)

    def make(self, tier: str, parameters: Parameters, twin: int) -> Case:
        """See Domain."""
        answer = cases.answer_of_case(tier, parameters, twin)
        return Case(
            world=cases.world_of_case(parameters, twin),
            request=cases.request_of(parameters),
            truth=Truth(answer=as_json(answer), klass=f"rank {answer.rank}"),
        )

    def grade(self, world: World, truth: Truth) -> Grade:
        """See `envs.clinic.diagnosis.grade`."""
        return graded(world, msgspec.convert(truth.answer, Answer))

    def oracle(self, opening: str, write: Write) -> Play:
        """See Domain."""
        return policies.oracle(opening, write)

    def guesser(self, rng: random.Random) -> Plan:
        """See Domain."""
        return policies.guesser(rng)

    def blind(self) -> Mapping[str, Plan]:
        """See Domain."""
        return policies.BLIND

    def units(self, case: World, request: str, truth: Truth) -> tuple[Unit, ...]:
        """The request, the background, and vital signs where they decide nothing; positive is the graver twin."""
        (patient,) = case.patients
        known = {one.tool.name: one for one in tools.WHOLE}
        positive = truth.answer["rank"] == "first"
        about = {"patient_id": patient.patient_id}
        units = {"request": request, "background": use(case, known[tools.BACKGROUND], about).text}
        if f"{VITALS}:" not in truth.answer["needed"]:
            units["vitals"] = use(case, known[VITALS], about).text
        return tuple(Unit(channel=channel, text=text, positive=positive) for channel, text in units.items())
