"""The clinical tables that games share, as typed rows. Every row names its source; nothing here reads a note."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from common.records import Record


class Contradiction(Record):
    """What cannot be right in a note where all conditions of `wrong` hold.

    `kind` is `diagnosis`, `drug` (something given) or `act` (something done). A condition is `male`, `female`,
    `pregnant`, `states TERM`, or a bound as in `potassium <= 5.0`, where every value that the note states of the
    measure (see `Measure`; `age` in years) keeps the bound, and it states at least one. In notes that hold one of the
    word beginnings `likely` a reader might believe it.
    """

    say: str
    kind: str
    wrong: tuple[str, ...]
    likely: tuple[str, ...]
    source: str


class Measure(Record):
    """How notes write a measured quantity. Numbers outside `low` to `high` are misread, or in another unit."""

    name: str
    words: tuple[str, ...]
    units: tuple[str, ...]
    low: float
    high: float
    source: str


@cache
def contradictions() -> tuple[Contradiction, ...]:
    """All rows of `contradictions.json`."""
    return msgspec.json.decode(_read("contradictions"), type=tuple[Contradiction, ...])


@cache
def measures() -> tuple[Measure, ...]:
    """All rows of `measures.json`; `age`, `systolic` and `diastolic` are read by code."""
    return msgspec.json.decode(_read("measures"), type=tuple[Measure, ...])


def _read(name: str) -> bytes:
    return (Path(__file__).parent / f"{name}.json").read_bytes()
