"""Advantages of the rollouts of one step, once more from what the run kept of them.

The learner's own function computes them, from rewards, potentials and lengths. All tokens of a turn have one return, so
a turn stands for its tokens here and weighs as much as they do. What the learner adds from the KL to the reference
(`learner.kl_coef` above 0 with k1) is not kept, so it is not in them.

Shapes: N turns of all rollouts, E rollouts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

from common.learner_sections import LearnerSpec

Row = Mapping[str, Any]
Rollout = tuple[str, int]
"""Task and number of a rollout, unique in its step."""


def advantages(rows: Sequence[Row], spec: LearnerSpec) -> dict[Rollout, float]:
    """The mean advantage of each rollout's tokens. `rows` are all rollouts of one step, group by group.

    Empty where they cannot be told: runs of before turns kept no lengths, and a group of one rollout has no baseline.
    """
    baseline = spec.algorithm == "reinforce_pp_baseline"
    sizes = Counter(row["task_id"] for row in rows)
    if not all(row.get("step_tokens") for row in rows) or (baseline and min(sizes.values()) < 2):
        return {}
    import torch  # takes seconds, and most of what reads a run's folder does without

    from learner.batch import TokenLayout
    from learner.reinforce_pp import signal

    turns = [len(row["step_tokens"]) for row in rows]
    weights = list(chain.from_iterable(_weights(row, spec) for row in rows))
    potentials = chain.from_iterable(row.get("potentials") or [0.0] * len(row["step_tokens"]) for row in rows)
    numbers = {name: at for at, name in enumerate(sizes)}
    last_N = torch.zeros(sum(turns), dtype=torch.bool)
    last_N[[end - 1 for end in accumulate(turns)]] = True
    layout = TokenLayout(
        episode_N=torch.arange(len(rows)).repeat_interleave(torch.tensor(turns)),
        turn_N=torch.tensor(list(chain.from_iterable(map(range, turns)))),
        last_N=last_N,
        potential_N=torch.tensor(list(potentials), dtype=torch.float32),
        share_N=torch.tensor(weights),
        logp_engine_N=torch.zeros(sum(turns)),
        group_E=torch.tensor([numbers[row["task_id"]] for row in rows]),
        rewards_E=torch.tensor([row["reward"] for row in rows], dtype=torch.float32),
    )
    values = signal(layout, baseline=baseline).advantage_N.tolist()
    ends = [0, *accumulate(turns)]
    return {
        (row["task_id"], row["rollout"]): _mean(values[start:end], weights[start:end])
        for row, start, end in zip(rows, ends[:-1], ends[1:], strict=True)
    }


def _weights(row: Row, spec: LearnerSpec) -> list[float]:
    """Of a rollout's turns: their tokens, or their shares of the rollout's where every episode counts alike."""
    tokens: list[int] = row["step_tokens"]
    whole = sum(tokens) if spec.weighting == "episode" else 1
    return [count / whole for count in tokens]


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
