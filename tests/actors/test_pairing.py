from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.pairing import choose, split_pairs


def twins_of(indices: Sequence[int]) -> dict[int, int]:
    return {index: index ^ 1 for index in indices if index ^ 1 in indices}


def anything(batch: Sequence[int]) -> bool:
    return True


@pytest.mark.parametrize(
    ("rolled", "awaited", "size", "chosen"),
    [
        ([0, 1, 2, 3], [], 2, [0, 1]),
        ([0, 2, 3], [1], 2, [2, 3]),
        ([0, 2, 4, 5], [1, 3], 2, [4, 5]),
        ([0, 2], [1, 3], 2, [0, 2]),
        ([0, 2, 3], [], 2, [2, 3]),
        ([0, 2, 4], [], 2, [0, 2]),
        ([0, 2, 3], [1], 3, [0, 2, 3]),
        ([0, 1, 2, 3, 4], [5], 3, [0, 1, 4]),
        ([2, 0, 3, 1], [], 2, [2, 3]),
        ([0], [1], 2, None),
    ],
)
def test_pairs_are_taken_whole_oldest_first(
    rolled: list[int], awaited: list[int], size: int, chosen: list[int] | None
) -> None:
    assert choose(rolled, twins_of(rolled + awaited), size, anything) == chosen


def test_what_must_be_taken_is_taken_and_brings_its_twin() -> None:
    def with_4(batch: Sequence[int]) -> bool:
        return 4 in batch

    assert choose([4, 0, 1, 5], twins_of([0, 1, 4, 5]), 2, with_4) == [4, 5]
    assert choose([4, 0, 1], twins_of([0, 1, 4, 5]), 2, with_4) == [4, 0]


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[int], dict[int, int], int, Callable[[Sequence[int]], bool]]:
    """Rolled tasks in some order, those awaited, a batch size, and a bound like the buffer's on ages."""
    indices = draw(st.lists(st.integers(0, 15), unique=True, max_size=14))
    rolled = draw(st.permutations(indices[: draw(st.integers(0, len(indices)))]))
    due, size = draw(st.integers(0, 4)), draw(st.integers(1, 6))

    def fits(batch: Sequence[int]) -> bool:
        """At most 0 of the `due` oldest rolled ones stay behind, and at most `size` of the 2 * due oldest."""
        left = [index for index in rolled if index not in batch]
        return not set(left) & set(rolled[:due]) and len(set(left) & set(rolled[: 2 * due])) <= size

    return rolled, twins_of(indices), size, fits


@given(situations())
def test_a_batch_is_found_exactly_when_the_oldest_would_do_and_it_fits(
    situation: tuple[list[int], dict[int, int], int, Callable[[Sequence[int]], bool]],
) -> None:
    rolled, twins, size, fits = situation
    batch = choose(rolled, twins, size, fits)
    assert (batch is not None) == (len(rolled) >= size and fits(rolled[:size]))
    if batch is not None:
        assert fits(batch) and len(batch) == len(set(batch)) == size and set(batch) <= set(rolled)
        assert batch == [index for index in rolled if index in batch], "oldest first"


@given(st.permutations(range(12)), st.integers(1, 6))
def test_with_an_even_size_and_all_rolled_no_pair_is_split(rolled: list[int], pairs: int) -> None:
    twins = twins_of(rolled)
    batch = choose(rolled, twins, 2 * pairs, anything)
    assert batch is not None and split_pairs(batch, twins) == 0
