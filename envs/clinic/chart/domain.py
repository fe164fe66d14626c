"""ehr_management: scores, doses, reconciliation, trends and coding from the rows of a chart."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from envs.clinic.chart import policies, tools
from envs.clinic.chart.facts import Facts, chart_of_facts, of_twin, world_of_facts
from envs.clinic.chart.families.table import FAMILIES, FIRST, RELEASED
from envs.clinic.chart.family import Answer
from envs.clinic.chart.grade import graded
from envs.clinic.chart.names import ALLERGIES, HOME, NOTES, ORDERS, PROBLEMS, STAY, SUBMIT
from envs.clinic.chart.orders_in_text import SHARE, ordered, with_order
from envs.clinic.domain import Case, Domain, Grade, Parameters, Plan, Play, Truth, Weights, Write
from envs.clinic.instruments import Instrument, use
from envs.clinic.world import World
from envs.contract.probing import Unit

_BESIDE = (STAY, PROBLEMS, ALLERGIES, HOME, ORDERS, NOTES)
"""Tools whose answers must not tell which twin a case is, where its request rests on the rows."""


class Chart(Domain):
    """See the module."""

    name: ClassVar[str] = "ehr_management"
    tiers: ClassVar[tuple[str, ...]] = ("first", "full")
    weights: ClassVar[Weights] = Weights(accuracy=0.40, format=0.20, process=0.25, safety=0.15)
    turns: ClassVar[int] = 16

    def __init__(self, kinds: tuple[str, ...] = tuple(FAMILIES)) -> None:
        """The kinds of requests that are drawn, in the shares of the release set."""
        self.kinds = kinds

    def instruments(self, tier: str) -> tuple[Instrument, ...]:
        """See `Domain`."""
        return tools.FIRST if tier == "first" else tools.WHOLE

    def instructions(self, tier: str) -> str:
        """See `Domain`."""
        return (
            "You answer requests about hospital charts. Read the rows that the request needs, compute, and end with "
            f"{SUBMIT}. Times are days of the stay, from day 1. Units differ from row to row."
        )

    def draw(self, tier: str, rng: random.Random) -> Parameters:
        """Facts whose twins have different answers, neither of which a careless reader finds."""
        kinds = {name: RELEASED[name] for name in (FIRST if tier == "first" else self.kinds)}
        (kind,) = rng.choices(tuple(kinds), tuple(kinds.values()))
        while True:
            facts = FAMILIES[kind].draw(rng)
            if "twin" in facts and _good(facts):
                answers = (_answer(facts).value, _answer(of_twin(facts)).value)
                return with_order(facts, rng, answers) if rng.random() < SHARE else facts

    def make(self, tier: str, parameters: Parameters, twin: int) -> Case:
        """See `Domain`."""
        pair = (parameters, of_twin(parameters))
        mine, other = pair[twin], pair[1 - twin]
        answer = _answer(mine)
        rank = "more" if answer.rank > _answer(other).rank else "less"
        family = FAMILIES[mine["family"]]
        content = {
            "family": family.name,
            "stay": mine["hadm"],
            "expected": answer.value,
            "most": answer.most,
            "lists": answer.lists,
            "severe": answer.severe,
            "rank": rank,
            "ordered": ordered("\n".join([mine["reason"], *(text for _, _, text in mine["notes"])])),
        }
        request = f"{family.rules}\n{family.asked(mine['hadm'], mine['question'])}"
        return Case(world=world_of_facts(mine), request=request, truth=Truth(answer=content, klass=f"rank {rank}"))

    def grade(self, world: World, truth: Truth) -> Grade:
        """See `envs.clinic.chart.grade`."""
        return graded(world, truth.answer)

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
        """The request, and what tools answer on which it does not rest."""
        family = FAMILIES[truth.answer["family"]]
        known = {one.tool.name: one for one in tools.WHOLE}
        stay = {"hadm_id": truth.answer["stay"]}
        texts = {name: use(case, known[name], stay).text for name in _BESIDE if name not in family.reads}
        positive = truth.answer["rank"] == "more"
        return (
            Unit(channel="request", text=request, positive=positive),
            Unit(channel="beside", text="\n".join(texts.values()), positive=positive),
        )


def _answer(facts: Facts) -> Answer:
    return FAMILIES[facts["family"]].solve(chart_of_facts(facts), facts["question"])


def _good(facts: Facts) -> bool:
    """Whether the twins have answers, different ones, which a careless reader does not give. Where there may be only
    two answers, that reader is right of one twin."""
    family = FAMILIES[facts["family"]]
    found, hits = list[Answer](), 0
    for one in (facts, of_twin(facts)):
        chart = chart_of_facts(one)
        try:
            answer = family.solve(chart, one["question"])
        except ValueError:
            return False
        careless = family.careless(chart, one["question"])
        hits += (careless.value, careless.lists) == (answer.value, answer.lists)
        found.append(answer)
    return hits <= family.careless_hits and found[0].rank != found[1].rank
