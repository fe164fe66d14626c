"""Whether the tasks that a game really makes can pass what the spec asks of them: tried on some made by rule."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from actors.filters import Novelty
from common.config import RunSpec
from common.records import Task
from envs.contract.by_rule import tasks_by_rule
from envs.contract.env import Environment

TRIED = 32
"""Tasks, from the start of the plan."""
COMPARED, MOST_CHARACTERS = 8, 20_000
"""Tasks of different vignettes whose overlap is tried, and their length together: comparing takes the square of it."""


def check_passable(spec: RunSpec, env: Environment) -> list[str]:
    """The limits of replies that games set below the spec's, a line each.

    Raises ValueError for a filter that no group can pass, or no task once the first few have passed.
    """
    tasks = [labelled.task for _, labelled in asyncio.run(tasks_by_rule(env, env.plan, TRIED))]
    limits = _limits(spec, tasks)
    for game, limit in limits.items():
        if limit < spec.filters.min_tokens:
            raise ValueError(
                f"this run would never train on {game}: filters.min_tokens {spec.filters.min_tokens} > {limit}, the "
                "tokens per turn that the game allows; lower min_tokens"
            )
    if spec.filters.novelty is not None:
        _check_novelty(spec.filters.novelty, tasks)
    wanted = spec.sampling.max_tokens
    return [f"{game} allows {limit} tokens per turn, not {wanted}" for game, limit in limits.items()]


def _limits(spec: RunSpec, tasks: Sequence[Task]) -> dict[str, int]:
    """The largest limit per turn of each game that allows fewer tokens than the spec."""
    most: dict[str, int] = {}
    for task in tasks:
        most[task.env] = max(most.get(task.env, 0), task.limits.max_tokens)
    return {game: limit for game, limit in most.items() if limit < spec.sampling.max_tokens}


def _check_novelty(limit: float, tasks: Sequence[Task]) -> None:
    several = list({task.provenance.vignette: task for task in tasks}.values())[:COMPARED]
    if len(several) < COMPARED or sum(len(msgspec.json.encode(task.context)) for task in several) > MOST_CHARACTERS:
        return  # too few to tell, or too long to try: what does not pass for long is told while the run waits
    novelty = Novelty(limit)
    passed = [novelty.accepts(task) for task in several]
    if not any(passed[1:]):
        raise ValueError(
            f"this run would soon wait for ever: filters.novelty needs an overlap <= {limit:g}, and of the first "
            f"{len(several)} tasks of different sources each overlaps the first one by more; raise it"
        )
