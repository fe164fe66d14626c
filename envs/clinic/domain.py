"""What a domain of the clinic implements: cases with known answers, tools, a grade, and policies.

A domain is a package of its own (`envs/clinic/triage`, ...) with one object of a class derived from Domain, listed in
`envs/clinic/domains.py`. Tools' names are unique over domains unless the tool is the same. All methods are pure.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from typing import Any, ClassVar

from common.records import Record
from envs.clinic.instruments import Instrument
from envs.clinic.world import World
from envs.contract.probing import Unit

Write = Callable[..., str]
"""`write(tool, **arguments)`: a reply that makes this call."""
Play = Generator[str, str, None]
"""One episode of a policy: yields replies and is sent what they are answered."""
Plan = Callable[[str, Write], Play]
"""A policy, given the first message."""
Parameters = dict[str, Any]
"""What a generator drew, JSON: it determines the twins of a case, and its hash their split."""


class Weights(Record):
    """Weights of the five parts of the reward; a part that does not apply to a domain has 0."""

    accuracy: float
    format: float
    process: float
    safety: float
    coherence: float = 0.0


class Truth(Record):
    """The label: `answer` is the domain's own, JSON. `klass` is the class that a policy must find out."""

    answer: dict[str, Any]
    klass: str


class Case(Record):
    """A made case. `request` is what the policy is asked, after the instructions."""

    world: World
    request: str
    truth: Truth


class Violation(Record):
    """A rule of safety that was broken, severity 1 to 5."""

    rule: str
    severity: int


class Grade(Record):
    """What an episode's end came to, each part from 0 to 1; None where it does not apply.

    `figures` are counted beside by the report.
    """

    accuracy: float
    process: float
    safety: float
    coherence: float | None = None
    violations: tuple[Violation, ...] = ()
    figures: dict[str, float] = {}


class Domain(ABC):
    """One domain. `tiers`, the easiest first."""

    name: ClassVar[str]
    tiers: ClassVar[tuple[str, ...]]
    weights: ClassVar[Weights]
    turns: ClassVar[int] = 16
    """The most replies of an episode."""

    @abstractmethod
    def instruments(self, tier: str) -> tuple[Instrument, ...]:
        """The tools of a tier; exactly one ends the episode."""

    @abstractmethod
    def instructions(self, tier: str) -> str:
        """The rules, equal for all cases of a tier, so that engines share them."""

    @abstractmethod
    def draw(self, tier: str, rng: random.Random) -> Parameters:
        """The parameters of a pair of twins."""

    @abstractmethod
    def make(self, tier: str, parameters: Parameters, twin: int) -> Case:
        """The case of the parameters, or its twin (1), which has another answer."""

    @abstractmethod
    def grade(self, world: World, truth: Truth) -> Grade:
        """What the events of an episode's last world are worth; the answer is among them."""

    @abstractmethod
    def oracle(self, opening: str, write: Write) -> Play:
        """Reaches the maximum with what any policy sees."""

    def demonstration(self) -> Plan:
        """What the warm-up shows: the oracle, or one that also writes above its answer what it rests on."""
        return self.oracle

    def guesser(self, rng: random.Random) -> Plan:
        """A demonstration whose answer is a matter of chance. Of a domain without one, the demonstration."""
        return self.demonstration()

    @abstractmethod
    def blind(self) -> Mapping[str, Plan]:
        """Policies that decide without what decides."""

    @abstractmethod
    def units(self, case: World, request: str, truth: Truth) -> tuple[Unit, ...]:
        """The texts that must not tell the answer."""
