"""Each clinical score by its two implementations, on random inputs."""

from __future__ import annotations

import random
from typing import Any

from envs.clinic.scores.score import Input, Score
from envs.clinic_checker.scores.table import FOUND

MISSING = 0.1
"""Share of optional inputs that are left out."""


def differences(score: Score, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """The inputs of `count` random ones on which the two implementations differ."""
    rng = random.Random(f"{seed}:{score.name}")
    inputs = [{one.name: drawn(one, rng) for one in score.inputs} for _ in range(count)]
    return [values for values in inputs if differ(score, values)]


def drawn(one: Input, rng: random.Random) -> Any:
    """A value of an input's range on the grid of its decimals; half of the numbers at the low end, where limits are."""
    if one.optional and rng.random() < MISSING:
        return None
    if one.kind == "flag":
        return rng.random() < 0.5
    if one.kind == "choice":
        return rng.choice(one.choices)
    scale = 10**one.decimals
    low, high = round(one.low * scale), round(one.high * scale)
    if rng.random() < 0.5:
        high = min(high, low + max(round((high - low) ** (2 / 3)), 10))
    value = rng.randint(low, high)
    return value / scale if one.decimals else value


def differ(score: Score, values: dict[str, Any]) -> bool:
    """Whether the two give another value or group."""
    ours = score(values)
    value, group = FOUND[score.name](values)
    theirs = float(value)
    same = abs(ours.value - theirs) <= 1e-9 * max(1.0, abs(theirs))
    return not same or ours.group != group or round(ours.value, score.decimals) != round(theirs, score.decimals)
