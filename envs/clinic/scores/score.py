"""What a score is: its source, its inputs with units and ranges, and a function of them.

Tools, random tests and printed pages are made from this declaration."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal

from common.records import Record

Value = float | int | bool | str | None
"""What an input holds; None where it was not measured."""


class Bands(Record):
    """Points by range: `points[i]` from `limits[i - 1]` on, below `limits[i]`.

    With `upper` a limit ends its range instead of beginning the next."""

    limits: tuple[float, ...]
    points: tuple[int, ...]
    upper: bool = False

    def __post_init__(self) -> None:
        assert len(self.points) == len(self.limits) + 1 and list(self.limits) == sorted(set(self.limits))

    def of(self, value: float) -> int:
        """The points of a value."""
        return self.points[bisect_left(self.limits, value) if self.upper else bisect_right(self.limits, value)]


class Groups(Record):
    """Names by range of a total: `names[i]` up to and with `tops[i]`, the last name above all of them."""

    tops: tuple[float, ...]
    names: tuple[str, ...]

    def of(self, total: float) -> str:
        """The name of a total."""
        return self.names[bisect_left(self.tops, total)]


class Input(Record):
    """One argument of a score. Numbers have `decimals` places and lie in [low, high]; choices are texts."""

    name: str
    about: str
    kind: Literal["number", "flag", "choice"] = "number"
    low: float = 0
    high: float = 0
    decimals: int = 0
    choices: tuple[str, ...] = ()
    optional: bool = False

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        if self.kind == "flag":
            return {"type": "boolean"}
        if self.kind == "choice":
            return {"type": "string", "enum": list(self.choices)}
        return {"type": "number" if self.decimals else "integer", "minimum": self.low, "maximum": self.high}


class Result(Record):
    """A computed score: its value in the score's unit, the points of each part where it adds points, and its group."""

    value: float
    parts: dict[str, int] = {}
    group: str = ""


class Score(Record):
    """A published score. `decimals` are the places of its value that are given out; `notes` say what was left open,
    `formula` is in words what `compute` does, where it does not add points."""

    name: str
    title: str
    unit: str
    sources: tuple[str, ...]
    inputs: tuple[Input, ...]
    compute: Callable[..., Result]
    decimals: int = 0
    notes: str = ""
    formula: str = ""

    def __call__(self, values: Mapping[str, Value]) -> Result:
        """The score of named inputs; optional ones may be missing. Raises ValueError for values out of range."""
        known = {one.name: one for one in self.inputs}
        if unknown := sorted(values.keys() - known.keys()):
            raise ValueError(f"{self.name} takes {', '.join(known)}, not {unknown[0]}")
        for one in self.inputs:
            _check(self.name, one, values.get(one.name))
        return self.compute(**{name: values.get(name) for name in known})

    def written(self, result: Result) -> str:
        """One line: the value with its unit, its group, and the points of its parts that have any."""
        parts = ", ".join(f"{name} {points}" for name, points in result.parts.items() if points)
        group = f" ({result.group})" if result.group else ""
        return f"{self.title} {result.value:.{self.decimals}f} {self.unit}{group}{f': {parts}' if parts else ''}"


def number(name: str, about: str, low: float, high: float, decimals: int = 0, optional: bool = False) -> Input:
    """A measured number; `about` says what and in which unit."""
    return Input(name=name, about=about, low=low, high=high, decimals=decimals, optional=optional)


def flag(name: str, about: str) -> Input:
    """Something that is so or not."""
    return Input(name=name, about=about, kind="flag")


def choice(name: str, about: str, *choices: str, optional: bool = False) -> Input:
    """One of some names."""
    return Input(name=name, about=about, kind="choice", choices=choices, optional=optional)


def exact(value: float) -> Decimal:
    """The number as it is written: 1.2 / 0.8 is then 1.5, and no half is rounded the wrong way."""
    return Decimal(repr(value))


def added(parts: Mapping[str, int], groups: Groups | None = None) -> Result:
    """The sum of points."""
    total = sum(parts.values())
    return Result(value=total, parts=dict(parts), group=groups.of(total) if groups else "")


def _check(score: str, one: Input, value: Value) -> None:
    if value is None:
        if not one.optional:
            raise ValueError(f"{score} needs {one.name}: {one.about}")
        return
    if one.kind == "flag":
        good = isinstance(value, bool)
    elif one.kind == "choice":
        good = value in one.choices
    else:
        whole = isinstance(value, int) or one.decimals > 0
        good = isinstance(value, int | float) and not isinstance(value, bool) and whole and one.low <= value <= one.high
    if not good:
        wanted = {"flag": "true or false", "choice": " or ".join(one.choices)}.get(
            one.kind, f"{one.low:g} to {one.high:g}{'' if one.decimals else ', a whole number'}"
        )
        raise ValueError(f"{score}: {one.name} must be {wanted}, not {value!r}")
