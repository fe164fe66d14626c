"""Doctor: lease a task, play a group of n episodes of it, score each, put the group. A plain class; deploy wraps it as
an async Ray actor. It holds no torch and no vllm, and knows no game."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from actors.engine import PromptTooLong
from actors.engine_errors import RequestFailed
from actors.episode import NOBODY, GameError, PartnerError, PoolModel, newest_version, play, scored
from actors.role import Role
from common.buffer_records import RejectReason
from common.config import SamplingSpec
from common.errors import last_line
from common.metrics import REJECTED
from common.record import Ids
from common.records import Group, LabelledTask, Message, Sampled
from envs.contract.env import Environment

if TYPE_CHECKING:
    from actors.handles import BufferHandle, PoolHandle

LOG = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The task's lease was lost, so that its group can no longer be trained within max_lag."""


_REASONS = {
    PromptTooLong: RejectReason.TOO_LONG,
    GameError: RejectReason.GAME_ERROR,
    PartnerError: RejectReason.PARTNER,
    RequestFailed: RejectReason.ENGINE_ERROR,
}


class Doctor(Role[LabelledTask]):
    """Its work is a leased task. `partners` are pools by the role in which games ask them."""

    def __init__(
        self,
        name: str,
        env: Environment,
        buffer: BufferHandle,
        pool: PoolHandle,
        sampling: SamplingSpec,
        concurrency: int,
        partners: Mapping[str, PoolHandle] = NOBODY,
    ) -> None:
        super().__init__(name, env, buffer, pool, concurrency)
        self._sampling, self._partners = sampling, partners

    async def _take(self) -> LabelledTask:
        return await self._buffer.lease.remote(self.name)

    def _called(self, work: LabelledTask) -> str:
        return work.task.task_id

    async def _finish(self, labelled: LabelledTask) -> None:
        task, sampling = labelled.task, self._sampling
        renew = partial(self._still_leased, task.task_id)
        model = _LeasedModel(self._pool, sampling.temperature, self._partners, renew)
        try:
            played = await play(self._env, task, model, sampling.group_size, sampling.max_tokens)
            # One version for the whole group: its rollouts are compared with each other.
            rollouts = scored(self._env, labelled, played, newest_version(played))
        except LeaseLost:
            self._late()
            return
        except tuple(_REASONS) as error:
            reason = next(reason for kind, reason in _REASONS.items() if isinstance(error, kind))
            await self._buffer.reject_lease.remote(self.name, task.task_id, reason, last_line(error))
            LOG.debug("rejected, %s: %s", reason, error)
            return
        group = Group(labelled=labelled, prompt_ids=played[0].prompt_ids, rollouts=tuple(rollouts), doctor=self.name)
        if await self._buffer.put_group.remote(group):
            LOG.debug("put a group of %d", len(rollouts))
        else:
            self._late()

    def _late(self) -> None:
        LOG.debug("its lease was lost: what was played cannot be used")
        self._meter.add(REJECTED, 1, RejectReason.LATE)

    async def _still_leased(self, task_id: str, oldest_version: int | None) -> bool:
        return await self._buffer.renew_lease.remote(self.name, task_id, oldest_version)


class _LeasedModel(PoolModel):
    """Renews the task's lease at every later turn, and plays no further once it is lost: nobody would use the group.

    `renew` is told the oldest version of a token of the group.
    """

    def __init__(
        self,
        pool: PoolHandle,
        temperature: float,
        partners: Mapping[str, PoolHandle],
        renew: Callable[[int | None], Awaitable[bool]],
    ) -> None:
        super().__init__(pool, "doctor", temperature, partners)
        self._renew = renew
        self._oldest: int | None = None

    async def start(self, messages: tuple[Message, ...], n: int, max_tokens: int) -> Sampled:
        """See `actors.episode.Model`."""
        return self._seen(await super().start(messages, n, max_tokens))

    async def proceed(self, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int) -> Sampled:
        """See `actors.episode.Model`. Raises LeaseLost."""
        if not await self._renew(self._oldest):
            raise LeaseLost
        return self._seen(await super().proceed(prefix, engine, messages, max_tokens))

    def _seen(self, sampled: Sampled) -> Sampled:
        versions = (self._oldest, sampled.oldest_version)
        self._oldest = min((version for version in versions if version is not None), default=None)
        return sampled
