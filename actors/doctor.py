"""Doctor: lease a task, play a group of n episodes of it, score each, put the group. A plain class; deploy wraps it as
an async Ray actor. It holds no torch and no vllm, and knows no game."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from actors.engine import PromptTooLong
from actors.episode import GameError, PartnerError, PoolModel, newest_version, play, scored
from actors.role import Role
from common.config import SamplingSpec
from common.record import Ids
from common.records import Group, LabelledTask, Message, RejectReason, Sampled
from envs.contract.env import Environment

if TYPE_CHECKING:
    from actors.handles import BufferHandle, PoolHandle

LOG = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The task's lease was lost: the buffer gave it to another Doctor."""


_REASONS = {
    PromptTooLong: RejectReason.TOO_LONG,
    GameError: RejectReason.GAME_ERROR,
    PartnerError: RejectReason.PARTNER,
}


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
        task, sampling = labelled.task, self._sampling
        model = _LeasedModel(self._pool, sampling.temperature, partial(self._still_leased, task.task_id))
        try:
            played = await play(self._env, task, model, sampling.group_size, sampling.max_tokens)
            # One version for the whole group: its rollouts are compared with each other.
            rollouts = scored(self._env, labelled, played, newest_version(played))
        except LeaseLost:
            return
        except tuple(_REASONS) as error:
            reason = next(reason for kind, reason in _REASONS.items() if isinstance(error, kind))
            await self._buffer.reject_lease.remote(self.name, task.task_id, reason)
            LOG.debug("rejected, %s: %s", reason, error)
            return
        group = Group(labelled=labelled, prompt_ids=played[0].prompt_ids, rollouts=tuple(rollouts), doctor=self.name)
        used = await self._buffer.put_group.remote(group)
        LOG.debug("put a group of %d%s", len(rollouts), "" if used else ", which cannot be used")

    async def _still_leased(self, task_id: str) -> bool:
        return await self._buffer.renew_lease.remote(self.name, task_id)


class _LeasedModel(PoolModel):
    """Renews the task's lease at every later turn, and plays no further once it is lost: nobody would use the group."""

    def __init__(self, pool: PoolHandle, temperature: float, renew: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(pool, "doctor", temperature)
        self._renew = renew

    async def proceed(self, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int) -> Sampled:
        """See `actors.episode.Model`. Raises LeaseLost."""
        if not await self._renew():
            raise LeaseLost
        return await super().proceed(prefix, engine, messages, max_tokens)
