"""Credit over episodes of many turns: what observations, potentials, rows and order may not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from common.records import Group
from learner.batch import TokenLayout, layout, pack
from learner.reinforce_pp import (
    advantages,
    episode_returns,
    importance_weights,
    policy_loss,
    shaping_rewards,
    token_rewards,
)
from learner.rows import rows_of
from tests.learner.groups import Turns, group_of_turns, turns_of

Weighting = Literal["token", "episode"]
episodes = st.lists(turns_of(10), min_size=2, max_size=4)
rewards = st.floats(-2, 2).map(lambda value: round(value, 3))
weightings = st.sampled_from(["token", "episode"])


def tokens_of(*groups: Group, weighting: Weighting = "token") -> TokenLayout:
    return layout([pack(group) for group in groups], range(len(groups)), weighting)


def drawn_group(data: st.DataObject, shaped: bool = False) -> Group:
    drawn = data.draw(episodes)
    totals = [data.draw(rewards) for _ in drawn]
    begin = data.draw(rewards)  # all episodes of a group begin in the same state
    potentials = [(begin, *(data.draw(rewards) for _ in turns[1:])) for turns in drawn] if shaped else None
    prompt = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    return group_of_turns(prompt, drawn, totals, potentials)


def without_observations(drawn: list[Turns], observed: list[int]) -> list[Turns]:
    return [[(sampled, observed) for sampled, _ in turns] for turns in drawn]


@given(drawn=episodes, data=st.data(), baseline=st.booleans(), weighting=weightings)
def test_i5_deleting_or_lengthening_observations_changes_no_advantage(
    drawn: list[Turns], data: st.DataObject, baseline: bool, weighting: Weighting
) -> None:
    totals = [data.draw(rewards) for _ in drawn]
    as_drawn, *others = (
        advantages(tokens_of(group_of_turns([1], turns, totals), weighting=weighting), baseline=baseline)
        for turns in (drawn, without_observations(drawn, []), without_observations(drawn, [7] * 9))
    )
    for other in others:
        assert torch.equal(as_drawn, other)


@pytest.mark.parametrize("observed", [[], [7], [7] * 50])
def test_i5_both_turns_of_a_solved_episode_have_the_same_return(observed: list[int]) -> None:
    tokens = tokens_of(group_of_turns([1], [[([2, 3], observed), ([4], [])]], [1.0]))
    assert episode_returns(tokens, baseline=False).tolist() == [1.0, 1.0, 1.0]


@given(data=st.data())
def test_i6_a_potential_leaves_the_sum_of_an_episodes_rewards_but_for_its_first_state(data: st.DataObject) -> None:
    """And that state is the same for all episodes of a task: no action changes it."""
    group = drawn_group(data, shaped=True)
    tokens = tokens_of(group)
    plain_N = token_rewards(tokens.rewards_E, tokens.episode_N, tokens.last_N, None)
    shaped_N = plain_N + shaping_rewards(tokens.potential_N, tokens.last_N)
    for at, rollout in enumerate(group.rollouts):
        total = float(shaped_N[tokens.episode_N == at].sum())
        assert total == pytest.approx(rollout.reward.total - rollout.reward.potentials[0], abs=1e-5)


@given(data=st.data())
def test_i6_a_shaped_return_is_the_reward_minus_the_potential_of_the_turns_state(data: st.DataObject) -> None:
    tokens = tokens_of(drawn_group(data, shaped=True))
    expected_N = tokens.rewards_E[tokens.episode_N] - tokens.potential_N
    torch.testing.assert_close(episode_returns(tokens, baseline=False), expected_N.double(), atol=1e-5, rtol=0)


@given(data=st.data())
def test_i6_under_the_baseline_the_first_turns_returns_are_those_without_shaping(data: st.DataObject) -> None:
    tokens = tokens_of(drawn_group(data, shaped=True))
    first_N = tokens.turn_N == 0
    expected_N = (tokens.rewards_E - tokens.rewards_E.mean())[tokens.episode_N]
    returns_N = episode_returns(tokens, baseline=True)
    torch.testing.assert_close(returns_N[first_N], expected_N[first_N].double(), atol=1e-5, rtol=0)


def test_shaping_rewards_by_hand() -> None:
    # Turns of 2, 1 and 1 tokens in states of potential .5, .25 and .75, then an episode of one turn from .5.
    potential_N = torch.tensor([0.5, 0.5, 0.25, 0.75, 0.5])
    last_N = torch.tensor([False, False, False, True, True])
    assert shaping_rewards(potential_N, last_N).tolist() == [0.0, -0.25, 0.5, -0.75, -0.5]


def loss_of(groups: Sequence[Group], most: int, baseline: bool, weighting: Weighting) -> float:
    """The step's mean loss, row by row; the policy's log-prob of a token depends on the token alone."""
    planned = rows_of(groups, most)
    parts = [[pack(groups[part.group], part.episodes) for part in row] for row in planned]
    tokens = layout([p for row in parts for p in row], [part.group for row in planned for part in row], weighting)
    advantage_N = advantages(tokens, baseline=baseline)
    logp_old_N = torch.cat([-0.1 - 0.03 * part.target_N.double() for row in parts for part in row])
    weight_N = importance_weights(logp_old_N, tokens.logp_engine_N.double(), (0.5, 5.0))
    loss: Tensor = policy_loss(logp_old_N + 0.1, advantage_N.double(), weight_N, share_N=tokens.share_N.double())
    return float(loss / tokens.share_N.double().sum())


@given(data=st.data(), baseline=st.booleans(), weighting=weightings, most=st.integers(3, 60))
def test_i12_neither_order_nor_rows_change_the_loss(
    data: st.DataObject, baseline: bool, weighting: Weighting, most: int
) -> None:
    groups = [drawn_group(data, shaped=True) for _ in range(data.draw(st.integers(1, 3)))]
    shuffled = [
        Group(
            labelled=group.labelled,
            prompt_ids=group.prompt_ids,
            rollouts=tuple(data.draw(st.permutations(group.rollouts))),
            doctor=group.doctor,
        )
        for group in data.draw(st.permutations(groups))
    ]
    expected = loss_of(groups, 10_000, baseline, weighting)
    assert loss_of(shuffled, most, baseline, weighting) == pytest.approx(expected, abs=2e-5)


def test_weighting_by_episode_counts_a_long_episode_as_a_short_one() -> None:
    """Rewards 1 and 0, episodes of 3 and 1 tokens: by episode their mean is .5 and both advantages are 1 in size."""
    group = group_of_turns([1], [[([2, 2], [9]), ([2], [])], [([2], [])]], [1.0, 0.0])
    by_episode = advantages(tokens_of(group, weighting="episode"), baseline=False)
    torch.testing.assert_close(by_episode, torch.tensor([1.0, 1.0, 1.0, -1.0]))
    by_token = advantages(tokens_of(group), baseline=False)
    torch.testing.assert_close(by_token, torch.tensor([1.0, 1.0, 1.0, -3.0]) / 3**0.5)
