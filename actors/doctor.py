"""Doctor: lease a task, sample a group of n replies, score each, put the group. A plain class; deploy wraps it as an
async Ray actor. It holds no torch and no vllm, and learns nothing of medicine."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.engine import PromptTooLong
from common.config import SamplingSpec
from common.metrics import Counts, Meter
from common.records import Closed, Completion, Episode, Group, LabelledTask, Rollout
from envs.env import Done, Environment


class Doctor:
    """`run` returns when the buffer closes."""

    def __init__(
        self, name: str, env: Environment, buffer: Any, pool: Any, sampling: SamplingSpec, concurrency: int
    ) -> None:
        self.name = name
        self._env, self._buffer, self._pool, self._sampling = env, buffer, pool, sampling
        self._concurrency = concurrency
        self._meter = Meter()
        self._busy = 0

    async def run(self) -> None:
        """Play tasks until the buffer closes."""
        # Not a TaskGroup: its ExceptionGroup would hide the fault's own message and type from the supervisor.
        await asyncio.gather(*(self._work() for _ in range(self._concurrency)))

    async def _work(self) -> None:
        while True:
            try:
                labelled = await self._buffer.lease.remote(self.name)
            except Closed:
                return
            self._busy += 1
            await self._play(labelled)
            self._busy -= 1

    async def _play(self, labelled: LabelledTask) -> None:
        task = labelled.task
        turn = self._env.open(task)
        sampling = self._sampling
        max_tokens = min(sampling.max_tokens, task.limits.max_tokens)
        try:
            sampled = await self._pool.generate.remote(
                "doctor", turn.messages, sampling.group_size, max_tokens, sampling.temperature
            )
        except PromptTooLong:
            await self._buffer.reject_lease.remote(self.name, task.task_id, "too_long")
            return
        # One penalty for the whole group: its rollouts are compared with each other.
        version = sampled.newest_version
        rollouts = tuple(self._scored(labelled, completion, version) for completion in sampled.completions)
        group = Group(labelled=labelled, prompt_ids=sampled.prompt_ids, rollouts=rollouts, doctor=self.name)
        await self._buffer.put_group.remote(group)

    def _scored(self, labelled: LabelledTask, completion: Completion, version: int) -> Rollout:
        following = self._env.step(labelled.task, (completion.text,))
        assert isinstance(following, Done), f"{labelled.task.env} wants a second turn; the Doctor plays one-turn games"
        episode = Episode(task_id=labelled.task.task_id, actions=(completion.text,), truncated=completion.truncated)
        return Rollout(completion=completion, reward=self._env.score(episode, labelled.label, version))

    async def state(self) -> tuple[bool, Counts]:
        """The heartbeat: whether it is working, and its counters."""
        return self._busy > 0, self._meter.counts()
