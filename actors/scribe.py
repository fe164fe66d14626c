"""Scribe: claim a slot in the buffer, propose a labelled task through the environment, put it. A plain class; deploy
wraps it as an async Ray actor. It holds no torch and no vllm, and learns nothing of medicine."""

from __future__ import annotations

import random

from actors.engine import PromptTooLong
from actors.role import Role
from common.metrics import NOTES, REJECTED
from common.records import LabelledTask, Message
from envs.env import Written

TEMPERATURE = 0.7
"""Rewording keeps to the meaning; the gate refuses what does not."""


class Scribe(Role[int]):
    """Its work is the index of a slot in the environment's plan."""

    async def _take(self) -> int:
        index: int = await self._buffer.claim.remote(self.name)
        return index

    async def _finish(self, index: int) -> None:
        slot = self._env.plan(index)
        proposal = await self._env.propose(slot, random.Random(slot.seed), self._complete)
        if isinstance(proposal, LabelledTask):
            await self._buffer.put_task.remote(index, proposal)
            self._meter.add(NOTES, label=slot.quadrant)
        else:
            await self._buffer.reject_claim.remote(index, proposal.reason)

    async def _complete(self, messages: tuple[Message, ...], max_tokens: int) -> Written:
        try:
            sampled = await self._pool.generate.remote("scribe", messages, 1, max_tokens, TEMPERATURE)
        except PromptTooLong:
            self._meter.add(REJECTED, label="too_long")
            return Written(text="", truncated=True, policy_version=0)
        (one,) = sampled.completions
        return Written(text=one.text, truncated=one.truncated, policy_version=min(one.versions))
