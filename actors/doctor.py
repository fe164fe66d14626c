"""Doctor: lease a task, sample a group of n replies, score each, put the group. A plain class; deploy wraps it as an
async Ray actor. It holds no torch and no vllm, and learns nothing of medicine."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from actors.engine import PromptTooLong
from actors.role import Role
from common.config import SamplingSpec
from common.records import Completion, Episode, Group, LabelledTask, Rollout
from envs.contract.env import Done, Environment

if TYPE_CHECKING:
    from actors.handles import BufferHandle, PoolHandle

LOG = logging.getLogger(__name__)


class Doctor(Role[LabelledTask]):
    """Its work is a leased task."""

    def __init__(
        self,
        name: str,
        env: Environment,
        buffer: BufferHandle,
        pool: PoolHandle,
        sampling: SamplingSpec,
        concurrency: int,
    ) -> None:
        super().__init__(name, env, buffer, pool, concurrency)
        self._sampling = sampling

    async def _take(self) -> LabelledTask:
        return await self._buffer.lease.remote(self.name)

    def _called(self, work: LabelledTask) -> str:
        return work.task.task_id

    async def _finish(self, labelled: LabelledTask) -> None:
        task = labelled.task
        turn = self._env.open(task)
        sampling = self._sampling
        max_tokens = min(sampling.max_tokens, task.limits.max_tokens)
        try:
            sampled = await self._pool.generate.remote(
                "doctor", turn.messages, sampling.group_size, max_tokens, sampling.temperature
            )
        except PromptTooLong as error:
            LOG.debug("rejected: %s", error)
            await self._buffer.reject_lease.remote(self.name, task.task_id, "too_long")
            return
        # One penalty for the whole group: its rollouts are compared with each other.
        version = sampled.newest_version
        rollouts = tuple(self._scored(labelled, completion, version) for completion in sampled.completions)
        group = Group(labelled=labelled, prompt_ids=sampled.prompt_ids, rollouts=rollouts, doctor=self.name)
        used = await self._buffer.put_group.remote(group)
        LOG.debug("put a group of %d%s", len(rollouts), "" if used else ", which cannot be used")

    def _scored(self, labelled: LabelledTask, completion: Completion, version: int) -> Rollout:
        following = self._env.step(labelled.task, (completion.text,))
        assert isinstance(following, Done), f"{labelled.task.env} wants a second turn; the Doctor plays one-turn games"
        episode = Episode(task_id=labelled.task.task_id, actions=(completion.text,), truncated=completion.truncated)
        return Rollout(completion=completion, reward=self._env.score(episode, labelled.label, version))
