"""The work loop of Scribe and Doctor: take work from the buffer, up to `concurrency` at once, until it closes."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from common.buffer_records import Closed
from common.logs import working_on
from common.metrics import Counts, Meter
from envs.contract.env import Environment

if TYPE_CHECKING:
    from actors.handles import BufferHandle, PoolHandle

Work = TypeVar("Work")
LOG = logging.getLogger(__name__)


class Role(ABC, Generic[Work]):
    """A role actor that works on `concurrency` tasks at once. Buffer and pool are remote."""

    def __init__(self, name: str, env: Environment, buffer: BufferHandle, pool: PoolHandle, concurrency: int) -> None:
        self.name = name
        self._env, self._buffer, self._pool, self._concurrency = env, buffer, pool, concurrency
        self._meter = Meter()
        self._busy = 0

    @abstractmethod
    async def _take(self) -> Work:
        """The next task. Raises Closed when there will be no more."""

    @abstractmethod
    def _called(self, work: Work) -> str:
        """The name of the task in the log."""

    @abstractmethod
    async def _finish(self, work: Work) -> None:
        """Do the work, and put the result into the buffer."""

    async def run(self) -> None:
        """Work until the buffer closes."""
        # Not a TaskGroup: its ExceptionGroup would hide the error's message and type from the supervisor.
        LOG.info("works on %d tasks concurrently", self._concurrency)
        await asyncio.gather(*(self._loop() for _ in range(self._concurrency)))
        LOG.info("ended: the buffer has no more work for it")

    async def _loop(self) -> None:
        while True:
            try:
                work = await self._take()
            except Closed:
                return
            self._busy += 1
            with working_on(self._called(work)):
                LOG.debug("taken")
                await self._finish(work)
            self._busy -= 1

    async def state(self) -> tuple[bool, Counts]:
        """The heartbeat: whether it is working, and its counters."""
        return self._busy > 0, self._meter.counts()
