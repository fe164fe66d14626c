"""REINFORCE++ (Hu et al., arXiv 2501.03262) as pure functions on flat tensors: rewards, advantages, weights, loss.

The old policy of the ratio is the policy at the start of the step. With one optimiser step per batch that is the policy
being differentiated, so `logp_old = logp.detach()`, the ratio is 1 where the gradient is taken, and no forward pass is
needed for it. k1 is part of the reward and must be known for the whole batch before any backward pass; it uses the
engine's log-probs, `logp_engine - logp_ref`. The tokens were drawn from that distribution, so this is the unbiased k1
estimate of KL(sampling policy || reference), and a step needs one reference forward per group but no second forward of
the policy (about a quarter of a training pass).

Shapes: N completion tokens of all groups of a rank, C completions. `all_reduce` sums a float64 tensor over ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

AllReduce = Callable[[Tensor], Tensor]
"""Returns the sum of a tensor over all ranks."""

REWARD_CLIP = 10.0
LOG_RATIO_CLIP = 20.0
MIN_VARIANCE = 1e-8


def one_rank(sums: Tensor) -> Tensor:
    """The all_reduce of a single rank."""
    return sums


@dataclass(frozen=True)
class PolicyLoss:
    """The loss as a sum over tokens; divide by the number of tokens of the whole step, over all ranks."""

    total: Tensor  # scalar with gradient
    tokens: int
    clipped: int  # tokens whose ratio left the clip range in the direction of the advantage


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


def group_baseline(rewards_C: Tensor, group_C: Tensor) -> Tensor:
    """Rewards minus their group's mean [C] (REINFORCE++-baseline; no division by the group's deviation).

    Raises ValueError when a group has one completion: its baseline would be its own reward.
    """
    counts = torch.bincount(group_C)
    if bool((counts[group_C] < 2).any()):
        raise ValueError("reinforce_pp_baseline needs 2 or more completions per group: raise sampling.group_size")
    sums = torch.zeros(counts.numel(), dtype=torch.float64, device=rewards_C.device)
    sums.index_add_(0, group_C, rewards_C.double())
    return (rewards_C.double() - (sums / counts)[group_C]).to(rewards_C.dtype)


def token_rewards(rewards_C: Tensor, completion_N: Tensor, last_N: Tensor, penalty_N: Tensor | None) -> Tensor:
    """r_t = -penalty_t + 1[t is last] * clip(R, -10, 10), float64 [N]. The penalty is beta * KL_t."""
    clipped_C = rewards_C.double().clamp(-REWARD_CLIP, REWARD_CLIP)
    reward_N = torch.where(last_N, clipped_C[completion_N], 0.0)
    return reward_N if penalty_N is None else reward_N - penalty_N.double()


def returns_to_go(reward_N: Tensor, completion_N: Tensor, last_N: Tensor) -> Tensor:
    """G_t = r_t + G_{t+1} within each completion [N]; gamma is 1. Completions must be contiguous and ordered."""
    running_N = reward_N.cumsum(0)
    end_C = running_N[last_N]
    return end_C[completion_N] - running_N + reward_N


def normalise(return_N: Tensor, all_reduce: AllReduce = one_rank) -> Tensor:
    """A = (G - mean) / sqrt(max(variance, 1e-8)), float32 [N]; both moments over every token of every rank."""
    values_N = return_N.double()
    count, total = all_reduce(torch.stack([torch.ones_like(values_N).sum(), values_N.sum()]))
    centred_N = values_N - total / count
    variance = all_reduce(centred_N.square().sum()) / count
    advantage_N: Tensor = centred_N / variance.clamp(min=MIN_VARIANCE).sqrt()
    return advantage_N.float()


def advantages(
    rewards_C: Tensor,
    completion_N: Tensor,
    last_N: Tensor,
    *,
    group_C: Tensor | None = None,
    penalty_N: Tensor | None = None,
    all_reduce: AllReduce = one_rank,
) -> Tensor:
    """Advantages of a rank's whole batch, float32 [N], without gradient.

    `group_C` selects the baseline variant. `penalty_N` is kl_coef * k1, None when the KL is a loss term or off.
    """
    with torch.no_grad():
        if group_C is not None:
            rewards_C = group_baseline(rewards_C, group_C)
        reward_N = token_rewards(rewards_C, completion_N, last_N, penalty_N)
        return normalise(returns_to_go(reward_N, completion_N, last_N), all_reduce)


def importance_weights(logp_old_N: Tensor, logp_engine_N: Tensor, bounds: tuple[float, float] | None) -> Tensor:
    """Detached truncated weights clamp(exp(logp_old - logp_engine), *bounds) [N]; ones when `bounds` is None."""
    if bounds is None:
        return torch.ones_like(logp_old_N)
    return _ratio(logp_old_N.detach(), logp_engine_N).clamp(*bounds)


def weight_sums(logp_old_N: Tensor, logp_engine_N: Tensor, bounds: tuple[float, float] | None) -> Tensor:
    """Sums over tokens, float64 [6], to be added over groups and ranks for `weight_statistics`."""
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
    return torch.stack([term.sum() for term in terms])


def weight_statistics(sums: Tensor) -> dict[str, float]:
    """Importance-weight statistics, keyed as `common.metrics.WEIGHT_STATISTICS`, from summed `weight_sums`.

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
    logp_old_N: Tensor,
    advantage_N: Tensor,
    weight_N: Tensor,
    *,
    clip: float,
    penalty_N: Tensor | None = None,
) -> PolicyLoss:
    """PPO's clipped objective, negated and summed over tokens, each times its importance weight.

    ratio = exp(clamp(logp - logp_old, -20, 20)); loss = -sum_t w_t min(ratio A, clip(ratio, 1 - clip, 1 + clip) A).
    `penalty_N` is kl_coef * k2 or k3 with gradient, added to the sum.
    """
    ratio_N = _ratio(logp_N, logp_old_N.detach())
    plain_N = ratio_N * advantage_N
    bounded_N = ratio_N.clamp(1 - clip, 1 + clip) * advantage_N
    total = -(weight_N * torch.minimum(plain_N, bounded_N)).sum()
    if penalty_N is not None:
        total = total + penalty_N.sum()
    return PolicyLoss(total=total, tokens=logp_N.numel(), clipped=int((bounded_N < plain_N).sum()))


def _ratio(logp_N: Tensor, logp_other_N: Tensor) -> Tensor:
    return (logp_N - logp_other_N).clamp(-LOG_RATIO_CLIP, LOG_RATIO_CLIP).exp()
