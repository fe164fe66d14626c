"""Packing: the row and the refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learner.batch import PackedGroup, layout, pack, pack_row, rows_needed, shared_row, split
from tests.learner.groups import group


def test_a_group_of_two_is_packed_as_written_by_hand() -> None:
    packed = pack(group([5, 6, 7], [[10, 11], [20]], rewards=[1.0, -1.5]))
    assert packed.ids_S.tolist() == [5, 6, 7, 10, 11, 20]
    assert packed.positions_S.tolist() == [0, 1, 2, 3, 4, 3]
    assert packed.length_n.tolist() == [2, 1]
    assert packed.source_N.tolist() == [2, 3, 2]
    assert packed.target_N.tolist() == [10, 11, 20]
    assert packed.completion_N.tolist() == [0, 0, 1]
    assert packed.last_N.tolist() == [False, True, True]
    assert packed.version_N.tolist() == [0, 0, 1]
    assert packed.rewards_n.tolist() == [1.0, -1.5]
    torch.testing.assert_close(packed.logp_engine_N, torch.tensor([-0.1, -0.2, -0.1]))
    assert (packed.tokens, packed.completions, packed.oldest_version) == (3, 2, 0)


tokens = st.lists(st.integers(0, 99), min_size=1, max_size=7)


@given(prompt=tokens, completions=st.lists(tokens, min_size=1, max_size=5))
def test_every_target_follows_its_source_in_its_own_sequence(prompt: list[int], completions: list[list[int]]) -> None:
    packed = pack(group(prompt, completions))
    for i, ids in enumerate(completions):
        mine = packed.completion_N == i
        assert packed.target_N[mine].tolist() == ids
        assert packed.ids_S[packed.source_N[mine]].tolist() == [prompt[-1], *ids[:-1]]
        assert packed.positions_S[packed.source_N[mine]].tolist() == list(
            range(len(prompt) - 1, len(prompt) + len(ids) - 1)
        )
    assert int(packed.last_N.sum()) == len(completions)


@given(
    prompt=st.lists(st.integers(0, 99), max_size=5),
    branches=st.lists(st.lists(st.tuples(st.integers(0, 99), st.booleans()), min_size=1, max_size=6), min_size=1),
)
def test_only_the_tokens_asked_for_are_predicted_each_from_the_one_before_it(
    prompt: list[int], branches: list[list[tuple[int, bool]]]
) -> None:
    if not prompt:
        branches = [[(branch[0][0], False), *branch[1:]] for branch in branches]
    predicted_M = torch.tensor([asked for branch in branches for _, asked in branch])
    row = pack_row(prompt, [[token for token, _ in branch] for branch in branches], predicted_M)
    expected, position = [], len(prompt)
    for branch in branches:
        before = len(prompt) - 1
        for at, (token, asked) in enumerate(branch):
            expected += [(before, token)] if asked else []
            assert row.ids_S[position] == token and row.positions_S[position] == len(prompt) + at
            before, position = position, position + 1
    assert list(zip(row.source_N.tolist(), row.target_N.tolist(), strict=True)) == expected
    assert row.length_n.tolist() == [len(branch) for branch in branches]
    assert (position, row.tokens) == (row.ids_S.numel(), len(expected))


def test_a_layout_numbers_completions_over_all_groups() -> None:
    both = layout([pack(group([1], [[2, 3], [4]])), pack(group([5], [[6], [7], [8, 9]]))])
    assert both.completion_N.tolist() == [0, 0, 1, 2, 3, 4, 4]
    assert both.group_C.tolist() == [0, 0, 1, 1, 1]
    assert both.rewards_C.tolist() == [0.0, 1.0, 0.0, 1.0, 2.0]
    assert both.last_N.tolist() == [False, True, True, True, True, False, True]


def test_an_empty_completion_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="task t1, completion 1"):
        pack(group([1], [[2], []]))


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="the prompt has no tokens"):
        pack(group([], [[2]]))


def test_groups_share_a_row_as_written_by_hand() -> None:
    row = shared_row([pack(group([5, 6, 7], [[10, 11], [20]])), pack(group([5, 6, 8, 9], [[30]]))])
    assert row.ids_S.tolist() == [5, 6, 7, 10, 11, 20, 8, 9, 30]
    assert row.positions_S.tolist() == [0, 1, 2, 3, 4, 3, 2, 3, 4]
    assert row.source_N.tolist() == [2, 3, 2, 7]
    assert row.target_N.tolist() == [10, 11, 20, 30]
    assert [(fork.own, fork.length_n.tolist()) for fork in row.forks] == [(1, [2, 1]), (2, [1])]


def test_a_prompt_that_begins_another_predicts_from_the_shared_tokens() -> None:
    row = shared_row([pack(group([5, 6], [[10]])), pack(group([5, 6, 7], [[20]]))])
    assert row.ids_S.tolist() == [5, 6, 10, 7, 20]
    assert row.source_N.tolist() == [1, 3]
    assert [fork.own for fork in row.forks] == [0, 1]


prompts = st.lists(st.integers(0, 2), min_size=1, max_size=5)
packed_groups = st.lists(
    st.builds(
        lambda prompt, completions: pack(group(prompt, completions)),
        prompts,
        st.lists(st.lists(st.integers(3, 9), min_size=1, max_size=4), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=5,
)


@given(groups=packed_groups)
def test_a_shared_row_predicts_what_its_groups_do_from_the_same_tokens(groups: list[PackedGroup]) -> None:
    row = shared_row(groups)
    assert row.target_N.tolist() == [token for g in groups for token in g.target_N.tolist()]
    assert row.ids_S[row.source_N].tolist() == [token for g in groups for token in g.ids_S[g.source_N].tolist()]
    apart = [position for g in groups for position in g.positions_S[g.source_N].tolist()]
    assert row.positions_S[row.source_N].tolist() == apart


@given(groups=packed_groups, most=st.integers(1, 60))
def test_rows_hold_every_group_once_and_are_no_longer_than_wanted_or_hold_one_group(
    groups: list[PackedGroup], most: int
) -> None:
    parts = split(groups, rows_needed(groups, most))
    assert [id(g) for part in parts for g in part] == [id(g) for g in groups]
    assert all(part for part in parts)
    assert all(len(part) == 1 or shared_row(part).ids_S.numel() <= most for part in parts)
