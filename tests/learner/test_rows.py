"""Which episodes share a row: every one once, no row too long, equally many rows on every rank."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.records import Group
from learner.batch import pack, shared_row
from learner.rows import Part, Rows, dealt, row_tokens, rows_of
from tests.learner.groups import group, group_of_turns, turns_of

groups_of_turns = st.lists(
    st.builds(
        group_of_turns,
        st.lists(st.integers(0, 2), min_size=1, max_size=5),
        st.lists(turns_of(10), min_size=3, max_size=3),
    ),
    min_size=1,
    max_size=5,
)


def episodes_in(rows: Rows) -> list[tuple[int, int]]:
    return [(part.group, at) for row in rows for part in row for at in part.episodes]


@given(groups=groups_of_turns, most=st.integers(1, 90))
def test_rows_hold_every_episode_once_and_are_no_longer_than_wanted_or_hold_one_episode(
    groups: list[Group], most: int
) -> None:
    rows = rows_of(groups, most)
    expected = [(at, episode) for at, group in enumerate(groups) for episode in range(len(group.rollouts))]
    assert sorted(episodes_in(rows)) == expected
    for row in rows:
        packed = shared_row([pack(groups[part.group], part.episodes) for part in row])
        assert packed.ids_S.numel() == row_tokens(groups, row)
        assert packed.ids_S.numel() <= most or sum(len(part.episodes) for part in row) == 1


@given(groups=groups_of_turns, most=st.integers(1, 90), more=st.integers(0, 15))
def test_a_rank_runs_as_many_rows_as_the_one_that_needs_most(groups: list[Group], most: int, more: int) -> None:
    asked: list[int] = []

    def most_needed(needed: int) -> int:
        asked.append(needed)
        return min(needed + more, 3 * len(groups))  # no rank can need more: it has as many episodes

    rows = rows_of(groups, most, most_needed)
    assert len(rows) == most_needed(asked[0]) and all(rows)
    assert len(set(episodes_in(rows))) == 3 * len(groups)


@given(st.integers(1, 4), st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_every_rank_is_dealt_equally_many_groups_and_each_group_once(ranks: int, some: list[int]) -> None:
    tokens = some * ranks
    shares = dealt(tokens, ranks)
    assert sorted(at for share in shares for at in share) == list(range(len(tokens)))
    assert {len(share) for share in shares} == {len(some)}
    assert dealt(tokens, 1) == [list(range(len(tokens)))]


def test_long_groups_are_dealt_to_different_ranks() -> None:
    assert dealt([900, 100, 800, 200], 2) == [[0, 1], [2, 3]]


def test_groups_that_fit_stay_whole_and_in_order() -> None:
    groups = [group([1, 2], [[3, 4], [5]]) for _ in range(4)]
    assert rows_of(groups, 8) == [[Part(0, (0, 1)), Part(1, (0, 1))], [Part(2, (0, 1)), Part(3, (0, 1))]]
    assert rows_of(groups, 100) == [[Part(at, (0, 1)) for at in range(4)]]


def test_a_long_group_is_cut_between_its_long_and_its_short_episodes() -> None:
    lengths = [2, 9, 1, 8]
    rows = rows_of([group([7] * 3, [[5] * length for length in lengths])], 20)
    assert rows == [[Part(0, (1, 3))], [Part(0, (0, 2))]]


def test_rows_are_balanced_where_the_order_of_the_groups_would_not_fit() -> None:
    long, short = group([1], [[3] * 9, [4] * 8]), group([2], [[3], [4]])
    assert rows_of([long, long, short, short], 21) == [
        [Part(0, (0, 1)), Part(2, (0, 1))],
        [Part(1, (0, 1)), Part(3, (0, 1))],
    ]
