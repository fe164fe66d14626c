"""REINFORCE++ (Hu et al., arXiv 2501.03262) as pure functions on flat tensors: rewards, advantages, weights, loss.

The old policy of the ratio is the policy at the start of the step. With one optimiser step per batch that is the policy
being differentiated: the ratio is 1 where the gradient is taken, needs no forward pass and is never clipped. k1 is part
of the reward and must be known for the whole batch before any backward pass; it uses the engine's log-probs,
`logp_engine - logp_ref`. The tokens were drawn from that distribution, so this is the unbiased k1 estimate of
KL(sampling policy || reference), and a step needs one reference forward per group but no second forward of the policy
(about a quarter of a training pass).

Over episodes of many turns: a return runs through all sampled tokens of its episode, so that an early turn is credited
with what came of it, and observations are on no axis here. An episode's reward arrives at its last sampled token. Step
rewards exist only as a potential Phi of the game's states (Ng, Harada, Russell 1999): Phi(s_{t+1}) - Phi(s_t) at the
end of turn t, and Phi = 0 at the end of the episode. With gamma 1 that makes every return R - Phi(s_t), a baseline that
depends on the state alone. The baseline variant counts Phi from each episode's first state: its group's mean has
subtracted that state's value already.

The paper divides by the spread of the returns, whatever it is. Where no group holds a difference that spread is the KL
penalty's noise, and dividing by it would make a full step out of nothing. So it is floored at a share of the rewards'
size, and because Adam divides by the size of the gradient too, the step's learning rate shrinks by as much (`Signal`).

Shapes: N sampled tokens of all groups of a rank, E episodes. `all_reduce` sums a float64 tensor over ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from learner.batch import TokenLayout

AllReduce = Callable[[Tensor], Tensor]
"""Returns the sum of a tensor over all ranks."""

REWARD_CLIP = 10.0
LOG_RATIO_CLIP = 20.0
LEAST_SPREAD = 0.05
"""Of the returns, as a share of the rewards' root mean square. One other outcome in 500 episodes is above it."""
ROUNDING = 1e-6
"""Rewards of a group that differ by at most this share of the largest are equal: what is left is float32's rounding."""


def one_rank(sums: Tensor) -> Tensor:
    """The all_reduce of a single rank."""
    return sums


@dataclass(frozen=True)
class Signal:
    """Advantages [N], and how far the spread of the returns reaches its floor: 1 above it, 0 where all are equal."""

    advantage_N: Tensor
    strength: float


def kl_estimate(logp_N: Tensor, logp_ref_N: Tensor, estimator: Literal["k1", "k2", "k3"]) -> Tensor:
    """Per-token estimate of KL(policy || reference), nats [N] (Schulman, "Approximating KL divergence").

    With d = logp - logp_ref: k1 = d, k2 = d^2 / 2, k3 = exp(-d) - 1 + d.
    """
    log_ratio_N = logp_N - logp_ref_N
    if estimator == "k1":
        return log_ratio_N
    if estimator == "k2":
        return log_ratio_N.square() / 2
    return torch.expm1(-log_ratio_N) + log_ratio_N


def group_baseline(rewards_E: Tensor, group_E: Tensor) -> Tensor:
    """Rewards minus their group's mean [E] (REINFORCE++-baseline; no division by the group's deviation); exactly 0 in a
    group whose rewards are equal but for rounding.

    Raises ValueError when a group has one episode: its baseline would be its own reward.
    """
    counts = torch.bincount(group_E)
    if bool((counts[group_E] < 2).any()):
        raise ValueError("reinforce_pp_baseline needs 2 or more episodes per group: raise sampling.group_size")
    values_E = rewards_E.double()
    empty = torch.zeros(counts.numel(), dtype=torch.float64, device=rewards_E.device)
    means = empty.index_add(0, group_E, values_E) / counts
    centred_E = values_E - means[group_E]
    widest, largest = (empty.scatter_reduce(0, group_E, of.abs(), "amax")[group_E] for of in (centred_E, values_E))
    return torch.where(widest <= ROUNDING * largest, 0.0, centred_E).to(rewards_E.dtype)


def reward_scale(rewards_E: Tensor, all_reduce: AllReduce = one_rank) -> float:
    """Root mean square of all ranks' clipped rewards; 1 where they are all 0, which says nothing of their size."""
    values_E = rewards_E.double().clamp(-REWARD_CLIP, REWARD_CLIP)
    count, total = all_reduce(torch.stack([torch.ones_like(values_E).sum(), values_E.square().sum()])).tolist()
    return (total / count) ** 0.5 or 1.0


def token_rewards(rewards_E: Tensor, episode_N: Tensor, last_N: Tensor, penalty_N: Tensor | None) -> Tensor:
    """r_t = -penalty_t + 1[t is last] * clip(R, -10, 10), float64 [N]. The penalty is beta * KL_t."""
    clipped_E = rewards_E.double().clamp(-REWARD_CLIP, REWARD_CLIP)
    reward_N = torch.where(last_N, clipped_E[episode_N], 0.0)
    return reward_N if penalty_N is None else reward_N - penalty_N.double()


def shaping_rewards(potential_N: Tensor, last_N: Tensor) -> Tensor:
    """Phi(s_{t+1}) - Phi(s_t) at the last token of turn t, -Phi(s_t) at the episode's last, 0 elsewhere; float64 [N].

    `potential_N` is that of the token's turn. The values of an episode sum to minus that of its first state.
    """
    potential_N = potential_N.double()
    after_N = torch.where(last_N, 0.0, potential_N.roll(-1))
    return after_N - potential_N


def returns_to_go(reward_N: Tensor, episode_N: Tensor, last_N: Tensor) -> Tensor:
    """G_t = r_t + G_{t+1} within each episode [N]; gamma is 1. Episodes must be contiguous and ordered."""
    running_N = reward_N.cumsum(0)
    end_E = running_N[last_N]
    return end_E[episode_N] - running_N + reward_N


def normalise(
    return_N: Tensor, share_N: Tensor | None = None, all_reduce: AllReduce = one_rank, floor: float = 1e-4
) -> Signal:
    """A = (G - mean) / max(spread, floor), both moments over every token of every rank; the floor is above 0.

    `share_N` are the tokens' weights in the moments; None: all alike.
    """
    values_N = return_N.double()
    share_N = torch.ones_like(values_N) if share_N is None else share_N.double()
    count, total = all_reduce(torch.stack([share_N.sum(), (share_N * values_N).sum()]))
    centred_N = values_N - total / count
    variance = all_reduce((share_N * centred_N.square()).sum()) / count
    spread = float(variance.sqrt())
    return Signal(advantage_N=(centred_N / max(spread, floor)).float(), strength=min(1.0, spread / floor))


def episode_returns(tokens: TokenLayout, *, baseline: bool, penalty_N: Tensor | None = None) -> Tensor:
    """Return of every token of a rank's whole batch, float64 [N].

    `baseline` selects the variant. `penalty_N` is kl_coef * k1, None when the KL is a loss term or off.
    """
    rewards_E, potential_N = tokens.rewards_E, tokens.potential_N
    if baseline:
        rewards_E = group_baseline(rewards_E, tokens.group_E)
        potential_N = potential_N - potential_N[tokens.last_N.roll(1)][tokens.episode_N]  # last_N[-1] is always True
    reward_N = token_rewards(rewards_E, tokens.episode_N, tokens.last_N, penalty_N)
    return returns_to_go(reward_N + shaping_rewards(potential_N, tokens.last_N), tokens.episode_N, tokens.last_N)


def signal(
    tokens: TokenLayout, *, baseline: bool, penalty_N: Tensor | None = None, all_reduce: AllReduce = one_rank
) -> Signal:
    """What a rank's whole batch says, without gradient: `episode_returns`, normalised."""
    with torch.no_grad():
        floor = LEAST_SPREAD * reward_scale(tokens.rewards_E, all_reduce)
        returns_N = episode_returns(tokens, baseline=baseline, penalty_N=penalty_N)
        return normalise(returns_N, tokens.share_N, all_reduce, floor)


def advantages(
    tokens: TokenLayout, *, baseline: bool, penalty_N: Tensor | None = None, all_reduce: AllReduce = one_rank
) -> Tensor:
    """Advantages of a rank's whole batch, float32 [N], without gradient."""
    return signal(tokens, baseline=baseline, penalty_N=penalty_N, all_reduce=all_reduce).advantage_N


def importance_weights(logp_old_N: Tensor, logp_engine_N: Tensor, bounds: tuple[float, float] | None) -> Tensor:
    """Detached truncated weights clamp(exp(logp_old - logp_engine), *bounds) [N]; ones when `bounds` is None."""
    if bounds is None:
        return torch.ones_like(logp_old_N)
    return _ratio(logp_old_N.detach(), logp_engine_N).clamp(*bounds)


def weight_terms(logp_old_N: Tensor, logp_engine_N: Tensor, bounds: tuple[float, float] | None) -> Tensor:
    """Of each token, float64 [6, N]; their sums over tokens, groups and ranks are for `weight_statistics`."""
    difference_N = (logp_old_N.detach() - logp_engine_N).double()
    weight_N = difference_N.clamp(-LOG_RATIO_CLIP, LOG_RATIO_CLIP).exp()
    low, high = bounds or (0.0, float("inf"))
    terms = [
        torch.ones_like(weight_N),
        weight_N,
        weight_N.square(),
        weight_N - 1 - difference_N,
        ((weight_N < low) | (weight_N > high)).double(),
        difference_N.abs(),
    ]
    return torch.stack(terms)


def weight_statistics(sums: Tensor) -> dict[str, float]:
    """Importance-weight statistics, keyed as `common.metrics.WEIGHT_STATISTICS`, from summed `weight_terms`.

    `effective_sample_size` is (sum w)^2 / (N sum w^2) of the weights before truncation: 1 when engine and learner
    agree. `mismatch_kl` is the k3 estimate of KL(engine || learner), nats per token.
    """
    count, weight, square, kl, clamped, difference = sums.tolist()
    assert count > 0
    return {
        "effective_sample_size": weight * weight / (count * square),
        "mismatch_kl": kl / count,
        "share_clamped": clamped / count,
        "mean_abs_logp_difference": difference / count,
    }


def policy_loss(
    logp_N: Tensor,
    advantage_N: Tensor,
    weight_N: Tensor,
    *,
    penalty_N: Tensor | None = None,
    share_N: Tensor | None = None,
) -> Tensor:
    """-sum_t w_t ratio_t A_t, scalar with gradient, each term times its share; ratio = exp(logp - logp.detach()) is 1.

    Divide by the sum of the shares of the whole step's tokens, over all ranks. PPO's clip would do nothing: a batch is
    trained on once, so the ratio never leaves 1; what bounds the step off the engine's policy is `weight_N`.
    `penalty_N` is kl_coef * k2 or k3 with gradient, added to each term. `share_N` of None: all alike.
    """
    loss_N = -(weight_N * _ratio(logp_N, logp_N.detach()) * advantage_N)
    if penalty_N is not None:
        loss_N = loss_N + penalty_N
    if share_N is not None:
        loss_N = share_N * loss_N
    return loss_N.sum()


def _ratio(logp_N: Tensor, logp_other_N: Tensor) -> Tensor:
    return (logp_N - logp_other_N).clamp(-LOG_RATIO_CLIP, LOG_RATIO_CLIP).exp()
