"""Rollout groups for tests of the learner."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from common.records import (
    Completion,
    Episode,
    Group,
    Reward,
    Rollout,
    Step,
)
from simulator.rollouts import labelled

Turns = list[tuple[list[int], list[int]]]
"""An episode as (sampled, then observed ids) of each turn."""


def group(prompt: list[int], completions: list[list[int]], rewards: list[float] | None = None) -> Group:
    """Episodes of one turn; version i sampled the i-th."""
    return group_of_turns(prompt, [[(ids, [])] for ids in completions], rewards)


def group_of_turns(
    prompt: list[int],
    episodes: Sequence[Turns],
    rewards: Sequence[float] | None = None,
    potentials: Sequence[tuple[float, ...]] | None = None,
) -> Group:
    """Episodes of several turns; version i + t sampled turn t of the i-th."""
    rewards = rewards or [float(i) for i in range(len(episodes))]
    potentials = potentials or [()] * len(episodes)
    rollouts = tuple(
        Rollout(
            steps=tuple(_step(sampled, observed, i + t) for t, (sampled, observed) in enumerate(turns)),
            episode=Episode(task_id="t1", actions=("",) * len(turns)),
            reward=Reward(components={}, total=reward, reason="", solved=reward > 0, potentials=values),
        )
        for i, (turns, reward, values) in enumerate(zip(episodes, rewards, potentials, strict=True))
    )
    return Group(labelled=labelled("t1"), prompt_ids=tuple(prompt), rollouts=rollouts, doctor="d")


def _step(sampled: list[int], observed: list[int], version: int) -> Step:
    completion = Completion(
        text="",
        token_ids=tuple(sampled),
        logps=tuple(-0.1 * (j + 1) for j in range(len(sampled))),
        versions=(version,) * len(sampled),
        finish_reason="stop",
        engine="e",
    )
    return Step(completion=completion, observed=tuple(observed))


def turns_of(vocabulary: int, turns: int = 3, tokens: int = 3) -> st.SearchStrategy[Turns]:
    """Episodes with at most so many turns, of at most so many sampled and observed tokens each."""
    ids = st.integers(0, vocabulary - 1)
    turn = st.tuples(st.lists(ids, min_size=1, max_size=tokens), st.lists(ids, max_size=tokens))
    return st.lists(turn, min_size=1, max_size=turns)
