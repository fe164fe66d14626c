"""Triage at an emergency department: which of five levels of urgency, where to, and whom to call."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial

from envs.clinic.domain import Case, Domain, Grade, Parameters, Plan, Play, Truth, Weights, Write
from envs.clinic.instruments import Instrument
from envs.clinic.triage import cases, generator, manual, policies, tools
from envs.clinic.triage.findings import ALLERGIES, HISTORY, PRESENTATION
from envs.clinic.triage.generator import FIRST, FULL
from envs.clinic.triage.grade import answer_of, grade
from envs.clinic.world import World
from envs.contract.probing import Unit


class Triage(Domain):
    """See the module."""

    name = "triage_emergency"
    tiers = (FIRST, FULL)
    weights = Weights(accuracy=0.25, format=0.15, process=0.30, safety=0.30)

    def instruments(self, tier: str) -> tuple[Instrument, ...]:
        """See Domain."""
        return tools.SIMPLE if tier == FIRST else tools.WHOLE

    def instructions(self, tier: str) -> str:
        """See Domain."""
        return manual.SIMPLE if tier == FIRST else manual.FULL

    def draw(self, tier: str, rng: random.Random) -> Parameters:
        """See Domain."""
        return generator.draw(tier, rng)

    def make(self, tier: str, parameters: Parameters, twin: int) -> Case:
        """See Domain."""
        return cases.made(tier, parameters, twin)

    def grade(self, world: World, truth: Truth) -> Grade:
        """See Domain."""
        return grade(world, answer_of(truth))

    def oracle(self, opening: str, write: Write) -> Play:
        """See Domain."""
        return policies.oracle(opening, write)

    def demonstration(self) -> Plan:
        """See Domain."""
        return partial(policies.demonstrated, None)

    def guesser(self, rng: random.Random) -> Plan:
        """See Domain."""
        return partial(policies.demonstrated, rng)

    def blind(self) -> Mapping[str, Plan]:
        """See Domain."""
        return policies.BLIND

    def units(self, case: World, request: str, truth: Truth) -> tuple[Unit, ...]:
        """What is said beside what decides; positive is an emergency."""
        (patient,) = case.patients
        pressure = ", ".join(f"{code} {case.current(patient.patient_id, code)}" for code in ("sbp", "dbp", "pain"))
        texts = {
            "request": request,
            "presentation": patient.answer(PRESENTATION, "") or "",
            "allergies": patient.answer(HISTORY, ALLERGIES) or "",
            "pressure": pressure,
            "beds": f"{[bed.taken for bed in case.beds]} {case.clock_min}",
        }
        urgent = answer_of(truth).level <= 2
        return tuple(Unit(channel=channel, text=text, positive=urgent) for channel, text in texts.items())
