"""What a learner step reports: sums counted on every rank, merged into the means of the whole batch.

Shapes: N completion tokens of a row.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from common.records import Group, Record
from learner.batch import PackedGroup
from learner.reinforce_pp import kl_estimate, weight_statistics, weight_sums


class Clock:
    """Wall seconds by phase."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._phases: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self._phases[phase] = self._phases.get(phase, 0.0) + time.perf_counter() - begun

    def seconds(self) -> dict[str, float]:
        """Of each phase, and of the whole `step`."""
        return {**self._phases, "step": time.perf_counter() - self._start}


class StepReport(Record):
    """One optimiser step, over all ranks: equal on every rank but for `seconds`. Means run over tokens or completions.

    `weights` is keyed as `common.metrics.WEIGHT_STATISTICS`. `seconds` holds this rank's wall time of the phases
    reference, forward, backward and optimizer, and of the whole `step`.
    """

    step: int
    policy_version: int  # after the step
    policy_lag: int  # version before the step minus the oldest version of any token
    groups: int
    completions: int
    tokens: int  # prompt (once a group) and completion tokens
    completion_tokens: int
    loss: float  # a completion token
    kl_to_reference: float | None  # k1 estimate, nats a token; None when kl_coef is 0
    grad_norm: float  # before clipping
    learning_rate: float
    reward_mean: float
    reward_std: float
    reward_components: dict[str, float]
    weights: dict[str, float]
    seconds: dict[str, float]


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
        """Count a row that was trained on; `loss` is its sum over tokens."""
        self.weight_sums += weight_sums(logp_N, logp_engine_N, bounds).cpu()
        self.sums["loss"] += loss
        if logp_ref_N is not None:
            self.has_reference = True
            self.sums["kl"] += float(kl_estimate(logp_engine_N, logp_ref_N, "k1").double().sum())


def share_of(groups: Sequence[Group], packed: Sequence[PackedGroup], version: int) -> Share:
    """A rank's share with all that is known before training; `version` is the policy's before the step."""
    share = Share(version)
    share.oldest = min(group.oldest_version for group in packed)
    share.sums["groups"] = len(packed)
    share.sums["tokens"] = sum(group.ids_S.numel() for group in packed)
    share.sums["completion_tokens"] = sum(group.tokens for group in packed)
    for group in groups:
        for rollout in group.rollouts:
            total = rollout.reward.total
            _add(share.sums, {"completions": 1, "reward": total, "reward_square": total * total})
            _add(share.components, rollout.reward.components)
    return share


def merge_shares(
    shares: Sequence[Share], *, step: int, learning_rate: float, grad_norm: float, seconds: dict[str, float]
) -> StepReport:
    """The report of the step that all ranks' shares make up."""
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
        loss=sums["loss"] / tokens,
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
