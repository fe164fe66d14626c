"""A game in which a random model can be a Scribe and a Doctor: whether an error is verified, and whether a reply finds
it, is decided by code from the text alone. Stands in for a verifier that no tiny model's exam would let pass."""

from __future__ import annotations

import random
import zlib

import msgspec

from common.records import Episode, Label, LabelledTask, Message, Rejection, Reward
from envs.contract.env import Complete, Slot
from envs.contradiction.environment import Contradiction
from simulator.rollouts import rewarded


def draw(text: str, of: int) -> int:
    """A number below `of` that only the text decides."""
    return zlib.crc32(text.encode()) % of


class Authoring(Contradiction):
    """One try a task: a quarter of all texts are refused. Half of all replies find the error."""

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: object = None
    ) -> LabelledTask | Rejection:
        made = await super().propose(slot, rng, complete)
        assert isinstance(made, LabelledTask)
        written = await complete((Message(role="user", content="Write an error."),), 12)
        return msgspec.structs.replace(made, authored=written.authored("" if draw(written.text, 4) else "verifier"))

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        total = 1.0 if draw(episode.actions[0], 2) else -1.0
        return rewarded(total, "found" if total > 0 else "missed", outcome=total)
