"""Where records hold a number that is none: NaN or an infinity. Each function answers one line that names it, or ""."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from common.records import Completion, Group, Reward, Sampled


def reward_fault(reward: Reward) -> str:
    """The first number of a reward that is not finite: its total, a component, a potential or a figure."""
    named = {
        "the total": reward.total,
        **{f"the component {name}": value for name, value in reward.components.items()},
        **{f"potential {at}": value for at, value in enumerate(reward.potentials)},
        **{f"the figure {name}": value for name, value in reward.figures.items()},
    }
    return number_fault(named)


def number_fault(named: Mapping[str, float | None]) -> str:
    """The first of these numbers that is not finite; None is no number and passes."""
    bad = (name for name, value in named.items() if value is not None and not math.isfinite(value))
    return next((f"{name} is {named[name]}" for name in bad), "")


def completion_fault(completion: Completion) -> str:
    """The first log-prob of a completion that is not finite, with the engine that sampled it."""
    wrong = np.flatnonzero(~np.isfinite(completion.logps))
    if not len(wrong):
        return ""
    return f"the log-prob of token {wrong[0]} from engine {completion.engine} is {completion.logps[wrong[0]]}"


def sampled_fault(sampled: Sampled) -> str:
    """See `completion_fault`."""
    return next(filter(None, map(completion_fault, sampled.completions)), "")


def group_fault(group: Group) -> str:
    """The first fault of a group's log-probs and rewards, with task, episode and turn."""
    return next(_faults(group), "")


def _faults(group: Group) -> Iterator[str]:
    for at, rollout in enumerate(group.rollouts):
        where = f"task {group.task_id}, episode {at}"
        for turn, step in enumerate(rollout.steps):
            if fault := completion_fault(step.completion):
                yield f"{where}, turn {turn}: {fault}"
        if fault := reward_fault(rollout.reward):
            yield f"{where}: {fault} in its reward"
