"""Sums over the groups of a step, counted on every rank and merged into the report of the whole batch.

Shapes: N sampled tokens of a row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from common.records import Group
from learner.reinforce_pp import kl_estimate, weight_statistics, weight_sums
from learner.step_report import StepReport


class Share:
    """One rank's sums over its groups."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.oldest = version
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.components: defaultdict[str, float] = defaultdict(float)
        self.weight_sums = torch.zeros(6, dtype=torch.float64)
        self.has_reference = False

    def add(
        self,
        logp_engine_N: Tensor,
        logp_N: Tensor,
        logp_ref_N: Tensor | None,
        loss: float,
        bounds: tuple[float, float] | None,
    ) -> None:
        """Count a row that was trained on; `loss` is its sum over tokens, each times its share."""
        self.weight_sums += weight_sums(logp_N, logp_engine_N, bounds).cpu()
        self.sums["loss"] += loss
        if logp_ref_N is not None:
            self.has_reference = True
            self.sums["kl"] += float(kl_estimate(logp_engine_N, logp_ref_N, "k1").double().sum())


def share_of(groups: Sequence[Group], version: int, weight: float) -> Share:
    """A rank's share with everything known before training; `version` is the policy's before the step.

    `weight` is the sum of its tokens' shares in the loss.
    """
    share = Share(version)
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    share.oldest = min(group.oldest_version for group in groups)
    share.sums["groups"] = len(groups)
    share.sums["weight"] = weight
    share.sums["tokens"] = sum(len(group.prompt_ids) for group in groups) + sum(
        rollout.branch_tokens for rollout in rollouts
    )
    share.sums["completion_tokens"] = sum(rollout.sampled_tokens for rollout in rollouts)
    for rollout in rollouts:
        total = rollout.reward.total
        _add(share.sums, {"completions": 1, "reward": total, "reward_square": total * total})
        _add(share.components, rollout.reward.components)
    return share


def merge_shares(
    shares: Sequence[Share], *, step: int, learning_rate: float, grad_norm: float, seconds: dict[str, float]
) -> StepReport:
    """The report of the step, from all ranks' shares."""
    sums: defaultdict[str, float] = defaultdict(float)
    components: defaultdict[str, float] = defaultdict(float)
    for share in shares:
        _add(sums, share.sums)
        _add(components, share.components)
    count, tokens = int(sums["completions"]), int(sums["completion_tokens"])
    mean = sums["reward"] / count
    return StepReport(
        step=step,
        policy_version=step,
        policy_lag=shares[0].version - min(share.oldest for share in shares),
        groups=int(sums["groups"]),
        completions=count,
        tokens=int(sums["tokens"]),
        completion_tokens=tokens,
        loss=sums["loss"] / sums["weight"],
        kl_to_reference=sums["kl"] / tokens if shares[0].has_reference else None,
        grad_norm=grad_norm,
        learning_rate=learning_rate,
        reward_mean=mean,
        reward_std=max(0.0, sums["reward_square"] / count - mean * mean) ** 0.5,
        reward_components={name: total / count for name, total in sorted(components.items())},
        weights=weight_statistics(torch.stack([share.weight_sums for share in shares]).sum(0)),
        seconds=seconds,
    )


def _add(sums: defaultdict[str, float], more: Mapping[str, float]) -> None:
    for name, value in more.items():
        sums[name] += value
