"""Shares, means and their 95 % intervals."""

from __future__ import annotations

import math
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
        if self.value is None:
            return "-"
        if self.lower is None or self.upper is None:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} [{self.lower:.2f}, {self.upper:.2f}]"


def mean(values: Sequence[float]) -> float | None:
    """None of no values."""
    return sum(values) / len(values) if values else None


def wilson(right: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, score interval without continuity correction)."""
    share = right / count
    middle = share + Z * Z / (2 * count)
    half = Z * (share * (1 - share) / count + Z * Z / (4 * count * count)) ** 0.5
    lower, upper = ((middle + side * half) / (1 + Z * Z / count) for side in (-1, 1))
    return max(0.0, min(share, lower)), min(1.0, max(share, upper))  # rounding must not put a share of 1 outside


def exact_lower(right: int, count: int, doubt: float) -> float:
    """The share that is exceeded with confidence 1 - `doubt` when `right` of `count` were right (Clopper and Pearson
    1934, one-sided); 0 of none."""
    if not right:
        return 0.0
    low, high = 0.0, right / count
    for _ in range(50):  # halves the interval to less than a double's precision
        middle = (low + high) / 2
        tail = sum(math.comb(count, k) * middle**k * (1 - middle) ** (count - k) for k in range(right, count + 1))
        low, high = (middle, high) if tail < doubt else (low, middle)
    return low


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


def ratios(tops_UK: Array, counts_UK: Array) -> list[Interval]:
    """K figures over U units, sum of tops / sum of counts, with percentile intervals from `resamples`.

    `of` is the number of units that count; a resample without one is left out.
    """
    found = [Interval(value=None, lower=None, upper=None, of=0)] * counts_UK.shape[1]
    counted = numpy.flatnonzero(counts_UK.sum(0))
    if not counted.size:
        return found
    tops_UK, counts_UK = tops_UK[:, counted], counts_UK[:, counted]
    weights_RU = resamples(len(tops_UK))
    with numpy.errstate(invalid="ignore"):  # 0 / 0 is the NaN of a resample that is left out
        means_RK = (weights_RU @ tops_UK) / (weights_RU @ counts_UK)
    ends = _ends(means_RK)
    values, units = tops_UK.sum(0) / counts_UK.sum(0), (counts_UK > 0).sum(0)
    for at, value, lower, upper, of in zip(counted, values, *ends, units, strict=True):
        found[at] = Interval(value=float(value), lower=float(lower), upper=float(upper), of=int(of))
    return found


def _ends(means_RK: Array) -> Array:
    """[2, K]: the 2.5th and 97.5th percentiles of each figure, NaN left out."""
    holes_K = numpy.asarray(numpy.isnan(means_RK).any(axis=0))
    ends = numpy.empty((2, means_RK.shape[1]))
    for quantile, those_K in ((numpy.quantile, ~holes_K), (numpy.nanquantile, holes_K)):  # the second takes 3 x as long
        if those_K.any():
            ends[:, those_K] = quantile(means_RK[:, those_K], (0.025, 0.975), axis=0)
    return ends


def sign_flips(gaps: Sequence[float]) -> float:
    """Two-sided p of a mean of paired differences, their signs flipped at random (Fisher 1935); seeded."""
    signs_RU = numpy.random.default_rng(0).choice((-1.0, 1.0), size=(RESAMPLES, len(gaps)))
    flipped = numpy.abs(signs_RU @ numpy.asarray(gaps, float))
    return float((1 + (flipped >= abs(sum(gaps)) - 1e-9).sum()) / (1 + RESAMPLES))
