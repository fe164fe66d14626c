"""Sums over the groups of a step, counted on every rank and merged into the report of the whole batch.

Shapes: N sampled tokens of a row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from common.metrics import TURN_BOUNDS, TURN_STATISTICS, TURNS
from common.records import Group
from learner.batch import SharedRow
from learner.rank_rows import Terms
from learner.reinforce_pp import ROUNDING, kl_estimate, weight_statistics, weight_terms
from learner.step_report import StepReport


class Share:
    """One rank's sums over its groups."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.oldest = version
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.components: defaultdict[str, float] = defaultdict(float)
        self.weight_sums = torch.zeros(6, dtype=torch.float64)
        self.turn_sums = torch.zeros(1 + len(TURN_STATISTICS), len(TURNS), dtype=torch.float64)
        self.has_reference = False

    def add(
        self, row: SharedRow, terms: Terms, logp_N: Tensor, loss: float, bounds: tuple[float, float] | None
    ) -> None:
        """Count a row that was trained on; `loss` is its sum over tokens, each times its share."""
        weights_6N = weight_terms(logp_N, row.logp_engine_N, bounds).cpu()
        self.weight_sums += weights_6N.sum(1)
        count_N, _, _, kl_N, clamped_N, _ = weights_6N
        turn_N = torch.bucketize(row.turn_N.cpu(), torch.tensor(TURN_BOUNDS), right=True)
        self.turn_sums.index_add_(1, turn_N, torch.stack([count_N, kl_N, clamped_N, terms.advantage_N.cpu().double()]))
        self.sums["loss"] += loss
        if terms.logp_ref_N is not None:
            self.has_reference = True
            self.sums["kl"] += float(kl_estimate(row.logp_engine_N, terms.logp_ref_N, "k1").double().sum())


def share_of(groups: Sequence[Group], version: int, weight: float) -> Share:
    """A rank's share with everything known before training; `version` is the policy's before the step.

    `weight` is the sum of its tokens' shares in the loss.
    """
    share = Share(version)
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    share.oldest = min(group.oldest_version for group in groups)
    share.sums["groups"] = len(groups)
    share.sums["uniform_groups"] = sum(map(is_uniform, groups))
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


def is_uniform(group: Group) -> bool:
    """Whether no difference inside the group says which episode was better: equal rewards, and no potentials."""
    totals = [rollout.reward.total for rollout in group.rollouts]
    if any(any(rollout.reward.potentials) for rollout in group.rollouts):
        return False
    return max(totals) - min(totals) <= ROUNDING * max(map(abs, totals))


def merge_shares(
    shares: Sequence[Share],
    *,
    step: int,
    learning_rate: float,
    grad_norm: float,
    seconds: dict[str, float],
    skipped: str = "",
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
        uniform_groups=sums["uniform_groups"] / sums["groups"],
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
        by_turn=_by_turn(torch.stack([share.turn_sums for share in shares]).sum(0)),
        skipped=skipped,
    )


def _by_turn(sums: Tensor) -> dict[str, dict[str, float]]:
    counts, *totals = sums.tolist()
    return {
        turn: {name: total[at] / counts[at] for name, total in zip(TURN_STATISTICS, totals, strict=True)}
        for at, turn in enumerate(TURNS)
        if counts[at]
    }


def _add(sums: defaultdict[str, float], more: Mapping[str, float]) -> None:
    for name, value in more.items():
        sums[name] += value
