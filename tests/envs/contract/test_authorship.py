from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.contract.authorship import author_reward

COUNTS = st.integers(1, 64).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_a_verified_error_is_paid_4p_1_minus_p(counts: tuple[int, int]) -> None:
    p = counts[0] / counts[1]
    assert author_reward(True, *counts) == pytest.approx(4 * p * (1 - p))
    assert 0 <= author_reward(True, *counts) <= 1


@given(st.integers(1, 64))
def test_an_error_that_all_find_or_none_is_paid_nothing(replies: int) -> None:
    assert author_reward(True, 0, replies) == author_reward(True, replies, replies) == 0


@given(COUNTS)
def test_the_most_is_paid_where_the_doctor_is_split_evenly_and_only_there(counts: tuple[int, int]) -> None:
    successes, replies = counts
    assert (author_reward(True, successes, replies) == 1) == (2 * successes == replies)


@given(COUNTS)
def test_finding_and_missing_are_paid_alike(counts: tuple[int, int]) -> None:
    successes, replies = counts
    assert author_reward(True, successes, replies) == author_reward(True, replies - successes, replies)


@given(COUNTS)
def test_what_is_not_verified_is_never_paid_and_never_fined(counts: tuple[int, int]) -> None:
    assert author_reward(False) == author_reward(False, *counts) == 0
