"""Packing: the row and the refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learner.batch import PackedGroup, layout, pack, pack_row, shared_row
from tests.learner.groups import Turns, group, group_of_turns, turns_of


def test_a_group_of_two_is_packed_as_written_by_hand() -> None:
    packed = pack(group([5, 6, 7], [[10, 11], [20]], rewards=[1.0, -1.5]))
    assert packed.ids_S.tolist() == [5, 6, 7, 10, 11, 20]
    assert packed.positions_S.tolist() == [0, 1, 2, 3, 4, 3]
    assert packed.length_n.tolist() == [2, 1]
    assert packed.source_N.tolist() == [2, 3, 2]
    assert packed.target_N.tolist() == [10, 11, 20]
    assert packed.episode_N.tolist() == [0, 0, 1]
    assert packed.last_N.tolist() == [False, True, True]
    assert packed.version_N.tolist() == [0, 0, 1]
    assert packed.rewards_n.tolist() == [1.0, -1.5]
    torch.testing.assert_close(packed.logp_engine_N, torch.tensor([-0.1, -0.2, -0.1]))
    assert (packed.tokens, packed.episodes, packed.oldest_version) == (3, 2, 0)


tokens = st.lists(st.integers(0, 99), min_size=1, max_size=7)


@given(prompt=tokens, completions=st.lists(tokens, min_size=1, max_size=5))
def test_every_target_follows_its_source_in_its_own_sequence(prompt: list[int], completions: list[list[int]]) -> None:
    packed = pack(group(prompt, completions))
    for i, ids in enumerate(completions):
        mine = packed.episode_N == i
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


def test_a_layout_numbers_episodes_over_all_groups() -> None:
    both = layout([pack(group([1], [[2, 3], [4]])), pack(group([5], [[6], [7], [8, 9]]))], [0, 1])
    assert both.episode_N.tolist() == [0, 0, 1, 2, 3, 4, 4]
    assert both.group_E.tolist() == [0, 0, 1, 1, 1]
    assert both.rewards_E.tolist() == [0.0, 1.0, 0.0, 1.0, 2.0]
    assert both.last_N.tolist() == [False, True, True, True, True, False, True]
    assert both.share_N.tolist() == [1.0] * 7


def test_under_the_episodes_weighting_the_tokens_of_an_episode_share_its_weight() -> None:
    parts = [pack(group_of_turns([1], [[([2], [9, 9]), ([3, 4, 5], [])], [([6], [])]]))]
    assert layout(parts, [0], "episode").share_N.tolist() == [0.25] * 4 + [1.0]


def test_three_turns_are_packed_as_written_by_hand() -> None:
    first: Turns = [([10, 11], [50, 51]), ([12], [52]), ([13], [])]
    packed = pack(group_of_turns([5, 6], [first, [([20], [99])]], potentials=[(0.5, 0.25, 0.0), ()]))
    assert packed.ids_S.tolist() == [5, 6, 10, 11, 50, 51, 12, 52, 13, 20]
    assert packed.positions_S.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 2]
    assert packed.length_n.tolist() == [7, 1]
    assert packed.target_N.tolist() == [10, 11, 12, 13, 20]
    assert packed.source_N.tolist() == [1, 2, 5, 7, 1]
    assert packed.episode_N.tolist() == [0, 0, 0, 0, 1]
    assert packed.turn_N.tolist() == [0, 0, 1, 2, 0]
    assert packed.last_N.tolist() == [False, False, False, True, True]
    assert packed.version_N.tolist() == [0, 0, 1, 2, 1]
    assert packed.potential_N.tolist() == [0.5, 0.5, 0.25, 0.0, 0.0]


@given(
    prompt=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    episodes=st.lists(turns_of(10), min_size=1, max_size=4),
    data=st.data(),
)
def test_i2_the_trained_positions_are_the_sampled_ones_once_each(
    prompt: list[int], episodes: list[Turns], data: st.DataObject
) -> None:
    """Across rows too: each episode is in one of them, and what a token is predicted from is all that came before."""
    whole = group_of_turns(prompt, episodes)
    first = data.draw(st.sets(st.integers(0, len(episodes) - 1)))
    parts = [sorted(first), sorted(set(range(len(episodes))) - first)]
    trained = []
    for chosen in filter(None, parts):
        packed = pack(whole, chosen)
        begins = [len(prompt) + start for start in (packed.length_n.cumsum(0) - packed.length_n).tolist()]
        for source, target, at in zip(
            packed.source_N.tolist(), packed.target_N.tolist(), packed.episode_N.tolist(), strict=True
        ):
            position = int(packed.positions_S[source]) + 1
            before = packed.ids_S[begins[at] : begins[at] + position - len(prompt)].tolist()
            trained.append((chosen[at], position, target, [*prompt, *before]))
    expected = []
    for at, turns in enumerate(episodes):
        ids = list(prompt)
        for sampled, observed in turns:
            for token in sampled:
                expected.append((at, len(ids), token, list(ids)))
                ids.append(token)
            ids += observed
    assert sorted(trained) == sorted(expected)


@given(episodes=st.lists(turns_of(10), min_size=1, max_size=4))
def test_i7_every_token_keeps_its_version_and_the_oldest_is_the_least_of_all_turns(episodes: list[Turns]) -> None:
    whole = group_of_turns([1, 2], episodes)
    packed = pack(whole)
    expected = [at + t for at, turns in enumerate(episodes) for t, (sampled, _) in enumerate(turns) for _ in sampled]
    assert packed.version_N.tolist() == expected
    assert packed.oldest_version == whole.oldest_version == min(expected)


def test_an_empty_completion_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="task t1, episode 1, turn 0"):
        pack(group([1], [[2], []]))


def test_an_empty_turn_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="task t1, episode 0, turn 1"):
        pack(group_of_turns([1], [[([2], [3]), ([], [])]]))


def test_potentials_must_be_one_a_turn() -> None:
    with pytest.raises(ValueError, match="task t1, episode 0: 1 potentials of 2 turns"):
        pack(group_of_turns([1], [[([2], [3]), ([4], [])]], potentials=[(0.5,)]))


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
