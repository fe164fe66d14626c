"""The report of a learner step. Imports no torch, because the driver reads it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from common.records import Record


class Clock:
    """Wall seconds by phase."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._phases: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Add the time inside to `phase`."""
        begun = time.perf_counter()
        yield
        self._phases[phase] = self._phases.get(phase, 0.0) + time.perf_counter() - begun

    def seconds(self) -> dict[str, float]:
        """Seconds by phase, and of the whole `step`."""
        return {**self._phases, "step": time.perf_counter() - self._start}


class StepReport(Record):
    """One optimiser step, over all ranks; equal on every rank except `seconds`. Means are over tokens or episodes.

    `weights` is keyed as `common.metrics.WEIGHT_STATISTICS`. `seconds` holds this rank's wall time of the phases
    reference, forward, backward and optimizer, and of the whole `step`.
    """

    step: int
    policy_version: int  # after the step
    policy_lag: int  # version before the step minus the oldest version of any token
    groups: int
    completions: int  # episodes
    tokens: int  # prompt (once per group), sampled and observed tokens
    completion_tokens: int  # sampled
    loss: float  # mean over sampled tokens, weighted as learner.weighting says
    kl_to_reference: float | None  # k1 estimate, nats per token; None when kl_coef is 0
    grad_norm: float  # before clipping; not finite in some steps that were skipped
    learning_rate: float  # 0 where nothing was to be learnt
    reward_mean: float
    reward_std: float
    reward_components: dict[str, float]
    weights: dict[str, float]
    seconds: dict[str, float]
    by_turn: dict[str, dict[str, float]]  # common.metrics.TURNS that occurred, then TURN_STATISTICS
    uniform_groups: float = 0.0  # share of the groups whose episodes all earned the same
    skipped: str = ""  # which number was not finite, so that the weights stayed as they were
