"""The trials that are audited: 100 seeds a tier, and the five seeds of the public system (part `source`).

Training and held-out trials of a run have seeds below 2^32, these above it, so that no policy was trained on one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from envs.oversight import generator
from envs.oversight.tasks import labelled_task
from envs.oversight.trial import TIERS
from evals.core.played import Trial as CoreTrial

HELDOUT, SOURCE = "held-out", "source"
SEEDS = {HELDOUT: tuple(range(100)), SOURCE: (42, 137, 256, 512, 1024)}
"""The seeds of each part. Those of the source name other trials here than there: our generator is another one."""
PARTS = tuple(SEEDS)
PLAYED = ("easy", "medium", "hard")
"""The tiers, unless others are asked for."""


class Trial(CoreTrial):
    """One of them; `name` is its part, tier and seed."""

    part: str
    tier: str


def trials(tiers: Sequence[str], limit: int | None) -> list[Trial]:
    """All trials of these tiers, or the first `limit` of each part and tier."""
    return [
        _trial(part, tier, seed, twin=place % 2)
        for part in PARTS
        for tier in tiers
        for place, seed in enumerate(SEEDS[part][:limit])
    ]


def seed_of(part: str, tier: str, seed: int) -> int:
    """The seed of the generator, above all seeds of 32 bits."""
    return 2**32 + random.Random(f"evaluation:{part}:{tier}:{seed}").getrandbits(64)


def _trial(part: str, tier: str, seed: int, twin: int) -> Trial:
    made = generator.make(TIERS[tier], seed_of(part, tier, seed), twin)
    name = f"{part}/{tier}/{seed}"
    return Trial(name=name, part=part, tier=tier, labelled=labelled_task(made.trial, made.truth, part, name, tier))
