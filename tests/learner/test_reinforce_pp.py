"""REINFORCE++ against numbers worked out by hand and against a slow float64 reference in plain loops."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from common.metrics import WEIGHT_STATISTICS
from learner.batch import TokenLayout
from learner.reinforce_pp import (
    Signal,
    advantages,
    group_baseline,
    importance_weights,
    kl_estimate,
    normalise,
    policy_loss,
    returns_to_go,
    reward_scale,
    signal,
    token_rewards,
    weight_statistics,
    weight_terms,
)


def flat(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """episode_N and last_N of episodes of these lengths."""
    episode = [i for i, length in enumerate(lengths) for _ in range(length)]
    last = [j == length - 1 for length in lengths for j in range(length)]
    return torch.tensor(episode), torch.tensor(last)


def tokens_of(rewards_E: Tensor, lengths: list[int], groups: list[int] | None = None) -> TokenLayout:
    """Episodes of one turn without shaping, all of one group if `groups` is None."""
    episode_N, last_N = flat(lengths)
    zero_N = torch.zeros(len(episode_N))
    return TokenLayout(
        episode_N=episode_N,
        turn_N=torch.zeros_like(episode_N),
        last_N=last_N,
        potential_N=zero_N,
        share_N=torch.ones_like(zero_N),
        logp_engine_N=zero_N,
        group_E=torch.tensor(groups or [0] * len(lengths)),
        rewards_E=rewards_E,
    )


# Two episodes of 2 and 1 tokens, rewards 1 and -1.5, beta * k1 of 0.1, 0.2 and -0.3.
EPISODE_N, LAST_N = flat([2, 1])
REWARDS_E = torch.tensor([1.0, -1.5])
PENALTY_N = torch.tensor([0.1, 0.2, -0.3])
TOKENS = tokens_of(REWARDS_E, [2, 1])


def test_token_rewards_and_returns_of_two_episodes_by_hand() -> None:
    reward_N = token_rewards(REWARDS_E, EPISODE_N, LAST_N, PENALTY_N)
    torch.testing.assert_close(reward_N, torch.tensor([-0.1, 0.8, -1.2], dtype=torch.float64), atol=1e-7, rtol=0)
    return_N = returns_to_go(reward_N, EPISODE_N, LAST_N)
    torch.testing.assert_close(return_N, torch.tensor([0.7, 0.8, -1.2], dtype=torch.float64), atol=1e-7, rtol=0)


def test_advantages_of_two_episodes_by_hand() -> None:
    # Returns .7, .8, -1.2: mean .1, squared deviations .36, .49, 1.69, variance 2.54 / 3.
    deviation = math.sqrt(2.54 / 3)
    expected = torch.tensor([0.6 / deviation, 0.7 / deviation, -1.3 / deviation])
    torch.testing.assert_close(advantages(TOKENS, baseline=False, penalty_N=PENALTY_N), expected)


def test_advantages_of_the_baseline_variant_by_hand() -> None:
    # Group mean -.25: rewards 1.25 and -1.25; returns 1.25, 1.25, -1.25; mean 1.25 / 3, variance 25 / 18.
    expected = torch.tensor([2.5 / 3, 2.5 / 3, -5.0 / 3]) / math.sqrt(25 / 18)
    torch.testing.assert_close(advantages(TOKENS, baseline=True), expected, atol=1e-6, rtol=0)


def test_equal_rewards_give_zero_advantages() -> None:
    assert advantages(tokens_of(torch.tensor([1.1, 1.1]), [2, 1]), baseline=False).tolist() == [0.0, 0.0, 0.0]


def test_a_reward_beyond_ten_is_clipped() -> None:
    assert token_rewards(torch.tensor([25.0, -11.0]), EPISODE_N, LAST_N, None).tolist() == [0.0, 10.0, -10.0]


def test_a_group_of_one_has_no_baseline() -> None:
    with pytest.raises(ValueError, match="2 or more episodes per group"):
        group_baseline(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 0, 1]))


def test_loss_and_gradient_of_a_step_by_hand() -> None:
    """The ratio is 1 where the gradient is taken, so no clip of it could do anything."""
    logp_N = torch.tensor([-0.5, -1.5], requires_grad=True)
    loss = policy_loss(logp_N, torch.tensor([0.7, -0.3]), torch.tensor([1.0, 2.0]))
    assert loss.item() == pytest.approx(-0.7 + 0.6)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logp_N.grad is not None
    torch.testing.assert_close(logp_N.grad, torch.tensor([-0.7, 0.6]))


def test_kl_estimators_by_hand() -> None:
    policy, ref = torch.tensor([-1.0]), torch.tensor([-1.5])
    assert kl_estimate(policy, ref, "k1").item() == pytest.approx(0.5)
    assert kl_estimate(policy, ref, "k2").item() == pytest.approx(0.125)
    assert kl_estimate(policy, ref, "k3").item() == pytest.approx(math.exp(-0.5) - 1 + 0.5)


def test_k1_and_k3_are_unbiased_over_the_policy() -> None:
    policy, ref = torch.tensor([0.7, 0.2, 0.1]).log(), torch.tensor([0.5, 0.25, 0.25]).log()
    exact = (policy.exp() * (policy - ref)).sum()
    for estimator in ("k1", "k3"):
        torch.testing.assert_close((policy.exp() * kl_estimate(policy, ref, estimator)).sum(), exact)  # type: ignore[arg-type]


def test_importance_weights_are_truncated_and_detached() -> None:
    logp = torch.tensor([-1.0, -1.0, -1.0], requires_grad=True)
    engine = torch.tensor([-1.0, -4.0, -0.1])
    weights = importance_weights(logp, engine, (0.5, 5.0))
    assert weights.tolist() == pytest.approx([1.0, 5.0, 0.5]) and not weights.requires_grad
    assert importance_weights(logp, engine, None).tolist() == [1.0, 1.0, 1.0]


def test_weight_statistics_by_hand() -> None:
    # Weights 1 and 8 (log difference ln 8).
    old, engine = torch.tensor([-1.0, -1.0]), torch.tensor([-1.0, -1.0 - math.log(8)])
    statistics = weight_statistics(weight_terms(old, engine, (0.5, 5.0)).sum(1))
    assert tuple(statistics) == WEIGHT_STATISTICS
    assert statistics["effective_sample_size"] == pytest.approx(81 / (2 * 65))
    assert statistics["mismatch_kl"] == pytest.approx((8 - 1 - math.log(8)) / 2)
    assert statistics["share_clamped"] == pytest.approx(0.5)
    assert statistics["mean_abs_logp_difference"] == pytest.approx(math.log(8) / 2)


def slow_advantages(rewards: list[float], lengths: list[int], groups: list[int] | None, kl: list[float]) -> list[float]:
    """The same algorithm in float64 loops, written from the paper's equations and sharing no code.

    The spread is floored at a twentieth of the rewards' root mean square.
    """
    scale = math.sqrt(sum(max(-10.0, min(10.0, r)) ** 2 for r in rewards) / len(rewards)) or 1.0
    if groups is not None:
        means = {g: sum(r for r, h in zip(rewards, groups, strict=True) if h == g) / groups.count(g) for g in groups}
        rewards = [r - means[g] for r, g in zip(rewards, groups, strict=True)]
    returns: list[float] = []
    start = 0
    for reward, length in zip(rewards, lengths, strict=True):
        for t in range(length):
            tail = sum(-kl[start + u] for u in range(t, length))
            returns.append(tail + max(-10.0, min(10.0, reward)))
        start += length
    mean = sum(returns) / len(returns)
    variance = sum((g - mean) ** 2 for g in returns) / len(returns)
    return [(g - mean) / max(math.sqrt(variance), 0.05 * scale) for g in returns]


finite = st.floats(-12, 12, allow_nan=False).map(lambda x: round(x, 3))


@given(data=st.data(), lengths=st.lists(st.integers(1, 6), min_size=2, max_size=8), baseline=st.booleans())
def test_advantages_equal_the_slow_reference(data: st.DataObject, lengths: list[int], baseline: bool) -> None:
    rewards = data.draw(st.lists(finite, min_size=len(lengths), max_size=len(lengths)))
    kl = data.draw(st.lists(finite.map(lambda x: x / 100), min_size=sum(lengths), max_size=sum(lengths)))
    groups = [min(i // 2, len(lengths) // 2 - 1) for i in range(len(lengths))]  # pairs; an odd one joins the last
    expected = slow_advantages(rewards, lengths, groups if baseline else None, kl)
    got = advantages(
        tokens_of(torch.tensor(rewards, dtype=torch.float64), lengths, groups),
        baseline=baseline,
        penalty_N=torch.tensor(kl, dtype=torch.float64),
    )
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float32), atol=2e-5, rtol=2e-5)


class Lockstep:
    """The all_reduce of ranks that run as threads: every rank waits for all, then gets the sum."""

    def __init__(self, ranks: int) -> None:
        self._barrier = Barrier(ranks)
        self._sums: list[Tensor] = []

    def __call__(self, mine: Tensor) -> Tensor:
        self._sums.append(mine)
        self._barrier.wait(10)
        total = torch.stack(self._sums).sum(0)
        if self._barrier.wait(10) == 0:
            self._sums.clear()
        self._barrier.wait(10)
        return total


@settings(max_examples=30)
@given(returns=st.lists(finite, min_size=2, max_size=20), data=st.data())
def test_two_ranks_normalise_as_one(returns: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(returns) - 1))
    values = torch.tensor(returns, dtype=torch.float64)
    all_reduce = Lockstep(2)
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(lambda shard: normalise(shard, None, all_reduce), (values[:cut], values[cut:])))
    together = torch.cat([part.advantage_N for part in parts])
    torch.testing.assert_close(together, normalise(values).advantage_N, atol=1e-5, rtol=1e-5)
    assert parts[0].strength == parts[1].strength == pytest.approx(normalise(values).strength)


@given(values=st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=12))
def test_loss_equals_the_slow_reference(values: list[tuple[float, float, float]]) -> None:
    expected = 0.0
    for logp, advantage, engine in values:
        expected -= max(0.5, min(5.0, math.exp(max(-20.0, min(20.0, logp - engine))))) * advantage
    logp_N, advantage_N, engine_N = (torch.tensor(column, dtype=torch.float64) for column in zip(*values, strict=True))
    got = policy_loss(logp_N, advantage_N, importance_weights(logp_N, engine_N, (0.5, 5.0))).item()
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-9)


GROUPS = [0] * 8 + [1] * 8 + [2] * 8 + [3] * 8
NOISE_N = 0.03 * torch.randn(32 * 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
"""Engine against learner, nats a token: rounding."""


def said_by(rewards: list[float], kl_coef: float = 1e-3, baseline: bool = True) -> Signal:
    return signal(tokens_of(torch.tensor(rewards), [60] * 32, GROUPS), baseline=baseline, penalty_N=kl_coef * NOISE_N)


UNIFORM = {
    "no reply in the format": [-1.5] * 32,
    "silent on every note": ([1.1] * 8 + [-0.9] * 8) * 2,
    "nothing is earned": [0.0] * 32,
    "ten times as much": [-9.0] * 32,
    "a hundredth as much": [0.011] * 32,
}


@pytest.mark.parametrize("rewards", UNIFORM.values(), ids=UNIFORM)
def test_a_batch_without_a_difference_inside_any_group_moves_nothing_but_what_kl_coef_says(
    rewards: list[float],
) -> None:
    if max(map(abs, rewards)) > 0.5 or not any(rewards):
        assert said_by(rewards).advantage_N.abs().mean() < 0.01
    small, large = said_by(rewards, 1e-6), said_by(rewards, 1e-5)
    torch.testing.assert_close(large.advantage_N, 10 * small.advantage_N, atol=1e-6, rtol=1e-4)
    assert large.strength == pytest.approx(10 * small.strength) and large.strength < 0.1
    without = said_by(rewards, 0.0)
    assert without.strength == 0.0 and not without.advantage_N.any()


def test_one_reply_that_differs_is_enough_for_a_full_step() -> None:
    said = said_by([1.1] + [-0.9] * 31)
    assert said.strength == 1.0
    assert said.advantage_N[:60].mean() > 3 and said.advantage_N[60:].abs().mean() < 0.5


def test_rewards_that_differ_by_the_rounding_of_their_sum_are_equal() -> None:
    rewards = [0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1] * 16
    assert len(set(rewards)) == 2
    for precise in (torch.float32, torch.float64):
        baselined = group_baseline(torch.tensor(rewards, dtype=precise), torch.tensor(GROUPS))
        assert not baselined.any()


def test_small_rewards_that_differ_are_not_taken_for_rounding() -> None:
    said = said_by([1e-4, 2e-4] * 16, kl_coef=0.0)
    assert said.strength == 1.0 and said.advantage_N.abs().mean() > 0.9


def test_the_scale_of_the_rewards_is_that_of_all_ranks() -> None:
    all_reduce = Lockstep(2)
    with ThreadPoolExecutor(2) as pool:
        halves = (torch.tensor([3.0, -3.0]), torch.tensor([0.0, 20.0]))
        scales = list(pool.map(lambda half: reward_scale(half, all_reduce), halves))
    assert scales == [pytest.approx(math.sqrt((9 + 9 + 100) / 4))] * 2
