from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.statistics import Interval, exact_lower, ratios, resamples, sign_flips, wilson


def test_resamples_draw_as_many_units_as_there_are_and_are_the_same_each_time() -> None:
    first = resamples(5)
    assert set(first.sum(1)) == {5.0}
    resamples.cache_clear()
    assert (resamples(5) == first).all()


def test_a_ratio_is_of_sums_and_its_interval_that_of_the_resampled_sums() -> None:
    tops, counts = numpy.array([[1.0], [0.0], [3.0]]), numpy.array([[2.0], [0.0], [4.0]])
    (found,) = ratios(tops, counts)
    assert (found.value, found.of) == (pytest.approx(4 / 6), 2), "the unit in which nothing counts is not one of them"
    assert (found.lower, found.upper) == pytest.approx((0.5, 0.75)), "of one unit alone, or of the other"


def test_a_figure_without_a_count_is_none_beside_one_that_has_some() -> None:
    ones = numpy.ones((4, 1))
    nothing, certain = ratios(numpy.hstack([ones, ones]), numpy.hstack([0 * ones, ones]))
    assert (nothing.value, nothing.lower, nothing.of) == (None, None, 0)
    assert (certain.value, certain.lower, certain.upper, certain.of) == (1.0, 1.0, 1.0, 4)
    assert ratios(ones, 0 * ones)[0].value is None


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = numpy.random.default_rng(1).normal(size=(400, 1))
    (found,) = ratios(values, numpy.ones((400, 1)))
    half = 1.96 * float(values.std()) / 20
    assert found.lower == pytest.approx(float(values.mean()) - half, abs=0.2 * half)
    assert found.upper == pytest.approx(float(values.mean()) + half, abs=0.2 * half)


def test_equal_pairs_have_p_1_and_six_gaps_of_one_sign_two_of_64() -> None:
    assert sign_flips([0.0] * 6) == 1.0
    assert sign_flips([1.0, 2.0, 1.5, 0.5, 1.0, 3.0]) == pytest.approx(2 / 64, abs=0.01)
    assert sign_flips([1.0, -1.0, 1.0, -1.0]) == 1.0


@given(st.integers(1, 500).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_the_interval_of_a_share_holds_it_and_ends_where_shares_end(counted: tuple[int, int]) -> None:
    right, count = counted
    lower, upper = wilson(right, count)
    assert 0 <= lower <= right / count <= upper <= 1
    assert (lower == 0, upper == 1) == (right == 0, right == count)


def test_the_exact_bound_of_a_share_is_that_of_clopper_and_pearson() -> None:
    assert exact_lower(59, 59, 0.05) == pytest.approx(0.05 ** (1 / 59))  # all right: doubt = share ** count
    assert exact_lower(58, 59, 0.05) < 0.95 < exact_lower(59, 59, 0.05)
    assert exact_lower(7, 10, 0.025) == pytest.approx(0.3475, abs=1e-4)  # scipy.stats.binomtest(7, 10).proportion_ci
    assert exact_lower(0, 0, 0.05) == exact_lower(0, 9, 0.05) == 0.0


def test_a_value_is_shown_without_the_interval_that_it_does_not_have() -> None:
    assert str(Interval(value=-0.8, lower=None, upper=None, of=1)) == "-0.80"
    assert str(Interval(value=None, lower=None, upper=None, of=0)) == "-"
    assert str(Interval(value=0.5, lower=0.25, upper=0.75, of=9)) == "0.50 [0.25, 0.75]"
