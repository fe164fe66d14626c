"""The bench of what games with an evaluation suite teach."""

from __future__ import annotations

import pytest

from bench.suites import Run, line
from common.statistics import Interval
from evals.core.measured import Difference


def run(lower: float) -> Run:
    return Run(
        seed=1,
        max_lag=1,
        gained=Difference(this=0.6, other=0.1, gap=Interval(value=0.5, lower=0.4, upper=0.6, of=100), p=0.001),
        blind="coin",
        above_blind=Difference(this=0.6, other=0.02, gap=Interval(value=0.58, lower=lower, upper=0.7, of=100), p=0.001),
        minutes=8.0,
    )


@pytest.mark.parametrize(("lower", "passed"), [(0.01, True), (0.0, False), (-0.2, False)])
def test_a_run_passes_when_it_is_above_the_best_blind_policy_with_its_interval(lower: float, passed: bool) -> None:
    assert run(lower).passed == passed


def test_a_line_gives_the_measure_before_and_after_and_the_distance_to_the_blind() -> None:
    assert line(run(0.5), "skill") == "seed 1, max_lag 1: skill +0.10 -> +0.60, +0.58 [+0.50, +0.70] above coin"
