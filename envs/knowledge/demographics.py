"""What may be said of a patient without touching the medicine: ages between two boundaries of guidelines, occupations
of one exposure, companions, places of care, surnames. Every row names its source; nothing here reads a note."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from common.records import Record


class Boundary(Record):
    """An age in years at which some advice changes; whether it counts from it or after it differs by its source."""

    years: int
    source: str


class Alike(Record):
    """Words of which one may stand for another."""

    says: tuple[str, ...]
    source: str


class Demographics(Record):
    """All rows of `demographics.json`."""

    age_boundaries: tuple[Boundary, ...]
    occupations: tuple[Alike, ...]
    kin: tuple[Alike, ...]
    settings: tuple[Alike, ...]
    surnames: Alike


@cache
def demographics() -> Demographics:
    """The table, read once."""
    content = (Path(__file__).parent / "demographics.json").read_bytes()
    return msgspec.json.decode(content, type=Demographics)


def same_ages(years: int) -> tuple[int, ...]:
    """The adult ages from which no boundary separates `years`; none where `years` is a boundary or a minor's age."""
    bounds = sorted(row.years for row in demographics().age_boundaries)
    low = max((bound for bound in bounds if bound <= years), default=0)
    high = min((bound for bound in bounds if bound > years), default=0)
    return tuple(age for age in range(low + 1, high) if age != years) if bounds[0] <= low < years < high else ()
