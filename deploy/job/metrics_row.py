"""A line of metrics.jsonl: what a learner step, its rollouts and its sync measured."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from deploy.report import replies
from deploy.report.steps import Row, finite_row
from envs.contract.reports import ALL_READ, Readings, Reports, measured

if TYPE_CHECKING:  # they import torch, for which `medserl status` would wait
    from learner.learner import LearnerStep
    from learner.scribe_learner import ScribePhase


def metrics_row(step: LearnerStep, reports: Reports, readings: Readings = ALL_READ) -> Row:
    """One line of metrics.jsonl. Seconds are wall time; rates are over the whole turn of the learner loop.

    A number that is not finite, such as the loss of a skipped step, is null.
    """
    report, sync = step.report, step.sync
    row = {
        "step": report.step,
        "time": time.time(),
        "policy_version": report.policy_version,
        "policy_lag": report.policy_lag,
        "groups": report.groups,
        "uniform_groups": report.uniform_groups,
        "completions": report.completions,
        "rollout_tokens": report.completion_tokens,
        "learner_tokens": report.tokens,
        "seconds": step.seconds,
        "wait_seconds": step.wait_seconds,
        "step_seconds": step.step_seconds,
        "completions_per_second": report.completions / step.seconds,
        "rollout_tokens_per_second": report.completion_tokens / step.seconds,
        "learner_tokens_per_second": report.tokens / step.step_seconds,
        "reward_mean": report.reward_mean,
        "reward_std": report.reward_std,
        **{f"reward_{name}": value for name, value in report.reward_components.items()},
        **replies.figures(step.groups),
        **measured(reports, step.groups, readings),
        "loss": report.loss,
        "kl_to_reference": report.kl_to_reference,
        "grad_norm": report.grad_norm,
        "learning_rate": report.learning_rate,
        **({"skipped": report.skipped} if report.skipped else {}),
        **report.weights,
        **({"by_turn": report.by_turn} if len(report.by_turn) > 1 else {}),
        "fresh_logp_difference": step.fresh_logp_difference,
        "sync_ok": sync.ok,
        "sync_seconds": sync.seconds,
        "sync_pause_seconds": sync.pause_seconds,
        "canary_gap": sync.canary_gap,
        "learner_seconds": report.seconds,
        **({} if step.scribe is None else scribe_values(step.scribe)),
    }
    return finite_row(row)


def scribe_values(phase: ScribePhase) -> Row:
    """What a trained Scribe's phase adds to the line of the step before it; means are over the phase, null without."""
    steps, rates = phase.reports, phase.success_rates
    return {
        "scribe_policy_version": phase.policy_version,
        "scribe_steps": len(steps),
        "scribe_starved": phase.starved,
        "scribe_tries": sum(report.completions for report in steps),
        "scribe_verified": len(rates),
        "scribe_reward_mean": sum(report.reward_mean for report in steps) / len(steps) if steps else None,
        "scribe_success_rate": sum(rates) / len(rates) if rates else None,
        "scribe_policy_lag": max((report.policy_lag for report in steps), default=None),
        "scribe_sync_ok": all(sync.ok for sync in phase.syncs),
    }
