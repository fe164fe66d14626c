"""Scribe: claim a slot in the buffer, propose a labelled task through the environment, put it. A plain class; deploy
wraps it as an async Ray actor. It holds no torch and no vllm, and learns nothing of medicine."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from actors.engine import PromptTooLong
from common.metrics import NOTES, REJECTED, Counts, Meter
from common.records import Closed, LabelledTask, Message
from envs.env import Environment, Written

TEMPERATURE = 0.7
"""Rewording keeps to the meaning; the gate refuses what does not."""


class Scribe:
    """`run` returns when the buffer closes."""

    def __init__(self, name: str, env: Environment, buffer: Any, pool: Any, concurrency: int) -> None:
        self.name = name
        self._env, self._buffer, self._pool, self._concurrency = env, buffer, pool, concurrency
        self._meter = Meter()
        self._busy = 0

    async def run(self) -> None:
        """Make tasks until the buffer closes."""
        # Not a TaskGroup: its ExceptionGroup would hide the fault's own message and type from the supervisor.
        await asyncio.gather(*(self._work() for _ in range(self._concurrency)))

    async def _work(self) -> None:
        while True:
            try:
                index = await self._buffer.claim.remote(self.name)
            except Closed:
                return
            self._busy += 1
            await self._propose(index)
            self._busy -= 1

    async def _propose(self, index: int) -> None:
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

    async def state(self) -> tuple[bool, Counts]:
        """The heartbeat: whether it is working, and its counters."""
        return self._busy > 0, self._meter.counts()
