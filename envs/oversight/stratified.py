"""The comparison of two groups of a cohort over the stages, as `cohort_analysis` reports it.

Per stage, with a of n1 in the group and b of n0 in the rest having the outcome, N = n1 + n0:
odds ratio  sum(a (n0 - b) / N) / sum(b (n1 - a) / N)            (Mantel and Haenszel 1959)
difference  sum((a n0 - b n1) / N) / sum(n1 n0 / N)              (Greenland and Robins 1985)
chi-square  (sum(a) - sum(E))^2 / sum(V), one degree of freedom  (Cochran 1954; Mantel and Haenszel 1959)
            E = n1 m / N, V = n1 n0 m (N - m) / (N^2 (N - 1)), m = a + b
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from envs.oversight.trial import STAGES, Patient

Member = Callable[[Patient], bool]


class Stratum(NamedTuple):
    """One stage: a of n1 in the group, and b of n0 in the rest, have the outcome."""

    a: int
    n1: int
    b: int
    n0: int

    @property
    def size(self) -> int:
        """All its patients."""
        return self.n1 + self.n0


def rural(patient: Patient) -> bool:
    """Treated at a rural site."""
    return patient.site.startswith("rural")


def died(patient: Patient) -> bool:
    """The outcome of clause 7.3."""
    return patient.outcome == "deceased"


def table(patients: Sequence[Patient], member: Member, outcome: Member = died) -> list[Stratum]:
    """The strata that have patients."""
    counts = {stage: [0, 0, 0, 0] for stage in STAGES}
    for patient in patients:
        count, at = counts[patient.stage], 0 if member(patient) else 2
        count[at] += outcome(patient)
        count[at + 1] += 1
    return [Stratum(*count) for count in counts.values() if count[1] + count[3]]


def adjusted_difference(strata: Sequence[Stratum]) -> float:
    """Of the risks, group minus rest; 0 where no stage has patients of both."""
    weight = sum(one.n1 * one.n0 / one.size for one in strata)
    return sum((one.a * one.n0 - one.b * one.n1) / one.size for one in strata) / weight if weight else 0.0


def odds_ratio(strata: Sequence[Stratum]) -> float:
    """Infinite where no one of the rest has the outcome alone; 1 where nobody differs."""
    above = sum(one.a * (one.n0 - one.b) / one.size for one in strata)
    below = sum(one.b * (one.n1 - one.a) / one.size for one in strata)
    return above / below if below else (math.inf if above else 1.0)


def p_value(strata: Sequence[Stratum]) -> float:
    """Two-sided, without continuity correction; 1 where nothing varies."""
    excess = variance = 0.0
    for one in strata:
        events = one.a + one.b
        excess += one.a - one.n1 * events / one.size
        if one.size > 1:
            spread = one.n1 * one.n0 * events * (one.size - events)
            variance += spread / (one.size**2 * (one.size - 1))
    return math.erfc(math.sqrt(excess**2 / variance / 2)) if variance else 1.0
