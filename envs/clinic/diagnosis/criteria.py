"""Criteria over findings: each holds or not, names the findings it needs, and is written in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from common.records import Record
from envs.clinic.diagnosis.findings import FINDINGS

Known = Mapping[str, float | str]


class Is(Record):
    """A text finding has one of these values, or with `not_` none of them."""

    finding: str
    values: tuple[str, ...]
    not_: bool = False

    @property
    def needs(self) -> frozenset[str]:
        """The findings."""
        return frozenset({self.finding})

    def holds(self, facts: Known) -> bool:
        """Whether it is so."""
        return (facts[self.finding] in self.values) is not self.not_

    def __str__(self) -> str:
        texts = " or ".join(f"`{FINDINGS[self.finding].texts[value]}`" for value in self.values)
        return f"{'not ' if self.not_ else ''}{texts}"


class Limit(Record):
    """A number compared with a limit."""

    finding: str
    sign: Literal[">=", ">", "<", "<="]
    limit: float

    @property
    def needs(self) -> frozenset[str]:
        """See Is."""
        return frozenset({self.finding})

    def holds(self, facts: Known) -> bool:
        """See Is."""
        value = float(facts[self.finding])
        match self.sign:
            case ">=":
                return value >= self.limit
            case ">":
                return value > self.limit
            case "<":
                return value < self.limit
        return value <= self.limit

    def __str__(self) -> str:
        return f"{self.finding} {self.sign} {self.limit:g} {FINDINGS[self.finding].unit}".rstrip()


class Osmolality(Record):
    """Effective osmolality, 2 x sodium + glucose / 18, in mOsm/kg, is above a limit."""

    above: float

    @property
    def needs(self) -> frozenset[str]:
        """See Is."""
        return frozenset({"sodium", "glucose"})

    def holds(self, facts: Known) -> bool:
        """See Is."""
        return 2 * float(facts["sodium"]) + float(facts["glucose"]) / 18 > self.above

    def __str__(self) -> str:
        return f"2 x sodium + glucose / 18 above {self.above:g} mOsm/kg"


class Points(Record):
    """At least so many points of criteria that hold."""

    least: int
    parts: tuple[tuple[int, Criterion], ...]

    @property
    def needs(self) -> frozenset[str]:
        """See Is."""
        return frozenset[str]().union(*(part.needs for _, part in self.parts))

    def holds(self, facts: Known) -> bool:
        """See Is."""
        return sum(points for points, part in self.parts if part.holds(facts)) >= self.least

    def __str__(self) -> str:
        return f"{self.least} or more points of: " + ", ".join(f"{points} for {part}" for points, part in self.parts)


Criterion = Is | Limit | Osmolality | Points


def is_(finding: str, *values: str) -> Is:
    """A text finding with one of these values."""
    assert set(values) <= FINDINGS[finding].texts.keys(), (finding, values)
    return Is(finding=finding, values=values)


def is_not(finding: str, *values: str) -> Is:
    """A text finding with none of these values."""
    assert set(values) <= FINDINGS[finding].texts.keys(), (finding, values)
    return Is(finding=finding, values=values, not_=True)


def limit(finding: str, sign: Literal[">=", ">", "<", "<="], value: float) -> Limit:
    """A number against a limit."""
    assert not FINDINGS[finding].texts, finding
    return Limit(finding=finding, sign=sign, limit=value)
