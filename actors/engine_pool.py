"""EnginePool: the one door to a set of equal engines. Role actors hold a pool, so engines may die or join under them.

A plain class that knows engines only by the methods it calls; deploy wraps it as an async Ray actor.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ray.exceptions import RayActorError, RayTaskError

from actors.engine import PromptTooLong
from common.errors import last_line
from common.metrics import COMPLETIONS, ROLLOUT_TOKENS, Counts, Meter
from common.records import Message, Record, Sampled

if TYPE_CHECKING:
    from actors.handles import EngineHandle

LOG = logging.getLogger(__name__)


class PoolState(Record):
    """A heartbeat: the engines that serve, sequences in hand, and the pool's counters."""

    serving: tuple[str, ...]
    in_flight: int
    counts: Counts


class EnginePool:
    """Spreads generate calls over the engines that serve; a call whose engine dies is made again on another."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._engines: dict[str, EngineHandle] = {}
        self._load: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._meter = Meter()

    async def admit(self, engine_id: str, handle: EngineHandle) -> None:
        """Let an engine serve. Called only after it proved that it holds the newest policy."""
        self._engines[engine_id] = handle
        self._load.setdefault(engine_id, 0)
        LOG.info("engine %s serves", engine_id)
        self._changed.set()

    async def quarantine(self, engine_id: str) -> None:
        """Stop giving work to an engine; its running sequences end where they are."""
        self._engines.pop(engine_id, None)
        LOG.info("engine %s is taken out", engine_id)

    async def idle(self, engine_id: str) -> None:
        """Return when nothing runs any more on an engine that was taken out."""
        while self._load.get(engine_id):
            self._changed.clear()
            await self._changed.wait()
        self._load.pop(engine_id, None)

    async def engines(self) -> dict[str, EngineHandle]:
        """Serving engines by id."""
        return dict(self._engines)

    async def generate(
        self, role: str, messages: tuple[Message, ...], n: int, max_tokens: int, temperature: float
    ) -> Sampled:
        """n completions of one chat prompt from the least loaded engine.

        Raises PromptTooLong when the prompt does not fit the model's context.
        """
        while True:
            engine_id = await self._least_loaded()
            self._load[engine_id] += n
            try:
                sampled = await self._engines[engine_id].generate.remote(messages, n, max_tokens, temperature)
            except PromptTooLong as error:
                raise PromptTooLong(last_line(error)) from None
            except (RayActorError, RayTaskError) as error:
                if not engine_died(error):
                    raise
                LOG.warning("engine %s died under a request: %s", engine_id, last_line(error))
                self._engines.pop(engine_id, None)  # missing from the next heartbeat: the supervisor replaces it
                continue
            finally:
                self._load[engine_id] -= n
                self._changed.set()
            self._meter.add(COMPLETIONS, n, role)
            self._meter.add(ROLLOUT_TOKENS, sum(len(c.token_ids) for c in sampled.completions), role)
            return sampled

    async def _least_loaded(self) -> str:
        while not self._engines:
            self._changed.clear()
            await self._changed.wait()
        return min(self._engines, key=lambda engine_id: self._load[engine_id])

    async def state(self) -> PoolState:
        """The heartbeat."""
        return PoolState(
            serving=tuple(self._engines),
            in_flight=sum(self._load.values()),
            counts=self._meter.counts(),
        )


def engine_died(error: RayActorError | RayTaskError) -> bool:
    """Whether the engine is gone: its actor, or vLLM's core process under it (ordinary under pressure)."""
    if isinstance(error, RayActorError):
        return True
    return type(error.cause).__name__ in {"EngineDeadError", "EngineGenerateError"}
