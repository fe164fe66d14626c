"""Shares, means and their 95 % intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy
from numpy.typing import NDArray

from common.records import Record

Z = 1.959964  # two-sided 95 %
RESAMPLES = 4000
Array = NDArray[numpy.float64]


class Interval(Record):
    """A figure and its 95 % interval; all None when `of`, how many were counted, is 0."""

    value: float | None
    lower: float | None
    upper: float | None
    of: int

    def __str__(self) -> str:
        if self.value is None or self.lower is None or self.upper is None:
            return "-"
        return f"{self.value:.2f} [{self.lower:.2f}, {self.upper:.2f}]"


def mean(values: Sequence[float]) -> float | None:
    """None of no values."""
    return sum(values) / len(values) if values else None


def wilson(right: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, score interval without continuity correction)."""
    share = right / count
    middle = share + Z * Z / (2 * count)
    half = Z * (share * (1 - share) / count + Z * Z / (4 * count * count)) ** 0.5
    return max(0.0, (middle - half) / (1 + Z * Z / count)), min(1.0, (middle + half) / (1 + Z * Z / count))


def share(flags: Iterable[bool]) -> Interval:
    """The share of true flags with Wilson's interval."""
    known = list(flags)
    if not known:
        return Interval(value=None, lower=None, upper=None, of=0)
    lower, upper = wilson(sum(known), len(known))
    return Interval(value=sum(known) / len(known), lower=lower, upper=upper, of=len(known))


@lru_cache(maxsize=4)
def resamples(units: int) -> Array:
    """[R, U]: how often each of the units occurs in each of RESAMPLES resamples (Efron 1979); seeded."""
    even = numpy.full(units, 1 / units)
    return numpy.random.default_rng(0).multinomial(units, even, size=RESAMPLES).astype(float)
