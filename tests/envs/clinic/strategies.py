"""Cases that the tests of this folder share. Made once: they are pure functions of the plan."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import cache

from common.records import Episode, LabelledTask, Reward
from envs.clinic.environment import Clinic
from envs.clinic.spec import ClinicSettings
from envs.conformance.baselines import SILENT
from envs.contract.replay import play

TIERS = ("first", "full")


@cache
def game(tier: str = "full") -> Clinic:
    """Triage on one tier."""
    return Clinic(ClinicSettings.model_validate({"tiers": [tier]}), 0)


@cache
def task(tier: str, index: int) -> LabelledTask:
    """The task of a slot of `game(tier)`."""
    slot = game(tier).plan(index)
    made = asyncio.run(game(tier).propose(slot, random.Random(slot.seed), SILENT))
    assert isinstance(made, LabelledTask)
    return made


def solved(tier: str, labelled: LabelledTask) -> Episode:
    """What the oracle does."""
    return play(game(tier), labelled.task, game(tier).oracle(labelled, random.Random(0)))


def said(tier: str, labelled: LabelledTask, replies: Sequence[str]) -> Reward:
    """The reward of these replies, the last one repeated."""
    rest = iter(replies)
    episode = play(game(tier), labelled.task, lambda _: next(rest, replies[-1]))
    return game(tier).score(episode, labelled.label)
