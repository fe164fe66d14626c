"""Trials that the tests of this folder share. Made once: they are pure functions of tier, seed and twin."""

from __future__ import annotations

import asyncio
import random
from functools import cache

from common.records import LabelledTask
from envs.conformance.baselines import SILENT
from envs.oversight import generator
from envs.oversight.environment import Oversight
from envs.oversight.generator import Made
from envs.oversight.spec import OversightSettings
from envs.oversight.trial import TIERS


@cache
def trial(tier: str, seed: int, twin: int = 0) -> Made:
    """A trial of the generator."""
    return generator.make(TIERS[tier], seed, twin)


@cache
def game(tier: str, **settings: object) -> Oversight:
    """The game on one tier."""
    return Oversight(OversightSettings.model_validate({"tiers": [tier], **settings}), 0)


@cache
def task(tier: str, index: int) -> LabelledTask:
    """The task of a slot of `game(tier)`."""
    slot = game(tier).plan(index)
    made = asyncio.run(game(tier).propose(slot, random.Random(slot.seed), SILENT))
    assert isinstance(made, LabelledTask)
    return made
