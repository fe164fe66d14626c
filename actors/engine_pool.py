"""EnginePool: the router to a set of equal engines. Role actors hold a pool, so engines may die or join meanwhile.

A plain class that uses engines only by the methods it calls; deploy wraps it as an async Ray actor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container
from typing import TYPE_CHECKING

from ray.exceptions import RayActorError, RayTaskError

from actors.engine import PromptTooLong
from actors.engine_errors import EngineDied, RequestFailed
from common.errors import last_line
from common.metrics import COMPLETIONS, LATER_CACHED_TOKENS, LATER_PROMPT_TOKENS, ROLLOUT_TOKENS, Counts, Meter
from common.record import Ids
from common.records import Message, Record, Sampled

if TYPE_CHECKING:
    from actors.handles import EngineHandle

LOG = logging.getLogger(__name__)


OVERLOAD, OVERLOAD_SEQUENCES = 1.5, 8
"""An episode leaves its engine when that has this many times the mean load, and this many sequences, above it."""


MOST_FAILURES, MOST_DEATHS = 2, 3
"""A request is given up when so many engines failed it, or so many died under it: else one that no engine takes would
end engine after engine, and with them the run's restarts."""


class PoolState(Record):
    """A heartbeat: the engines that serve, running sequences, and the pool's counters."""

    serving: tuple[str, ...]
    in_flight: int
    counts: Counts


class EnginePool:
    """Distributes generate calls over the serving engines; a call whose engine dies is repeated on another."""

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
        """Stop giving work to an engine; its running sequences finish there."""
        self._engines.pop(engine_id, None)
        LOG.info("engine %s is taken out", engine_id)

    async def idle(self, engine_id: str) -> None:
        """Return when nothing runs any more on a quarantined engine."""
        while self._load.get(engine_id):
            self._changed.clear()
            await self._changed.wait()
        self._load.pop(engine_id, None)

    async def engines(self) -> dict[str, EngineHandle]:
        """Serving engines by id."""
        return dict(self._engines)

    async def generate(
        self, role: str, messages: tuple[Message, ...], n: int, max_tokens: int, temperature: float, likely: int = 0
    ) -> Sampled:
        """n completions of one chat prompt from the least loaded engine, with `likely` first tokens' log-probs.

        Raises PromptTooLong when the prompt does not fit the model's context, RequestFailed when engines fail or die of
        it.
        """
        return await self._call(
            role, n, "", lambda engine: engine.generate.remote(messages, n, max_tokens, temperature, likely)
        )

    async def proceed(
        self,
        role: str,
        prefix: Ids,
        engine: str,
        messages: tuple[Message, ...],
        max_tokens: int,
        temperature: float,
    ) -> Sampled:
        """One completion of a later turn (`Engine.proceed`), on the engine that has the earlier ones in its cache.

        On another one if that no longer serves or has far more to do: it costs a prefill. Raises PromptTooLong and
        RequestFailed.
        """
        sampled = await self._call(
            role, 1, engine, lambda chosen: chosen.proceed.remote(prefix, messages, max_tokens, temperature)
        )
        self._meter.add(LATER_PROMPT_TOKENS, len(sampled.prompt_ids), role)
        self._meter.add(LATER_CACHED_TOKENS, sampled.cached, role)
        return sampled

    async def _call(
        self, role: str, n: int, preferred: str, call: Callable[[EngineHandle], Awaitable[Sampled]]
    ) -> Sampled:
        """The answer of an engine to a call for n completions; made again on another when the engine fails or dies."""
        failed, deaths = set[str](), 0
        while True:
            engine_id = await self._choose(preferred, failed)
            self._load[engine_id] += n
            try:
                sampled = await call(self._engines[engine_id])
            except PromptTooLong as error:
                raise PromptTooLong(last_line(error)) from None
            except RequestFailed as error:
                LOG.warning("engine %s failed a request: %s", engine_id, last_line(error))
                failed.add(engine_id)
                if len(failed) >= min(MOST_FAILURES, len(self._engines)):
                    raise RequestFailed(f"{', '.join(sorted(failed))}: {last_line(error)}") from None
                continue
            except (RayActorError, RayTaskError) as error:
                if not engine_died(error):
                    raise
                LOG.warning("engine %s died under a request: %s", engine_id, last_line(error))
                self._engines.pop(engine_id, None)  # missing from the next heartbeat: the supervisor replaces it
                deaths += 1
                if deaths >= MOST_DEATHS:
                    raise RequestFailed(f"{deaths} engines died under it, last {engine_id}") from None
                continue
            finally:
                self._load[engine_id] -= n
                self._changed.set()
            self._meter.add(COMPLETIONS, n, role)
            self._meter.add(ROLLOUT_TOKENS, sum(len(c.token_ids) for c in sampled.completions), role)
            return sampled

    async def _choose(self, preferred: str, failed: Container[str] = ()) -> str:
        """The preferred engine while it serves and is not overloaded, else the least loaded one; no `failed` one if
        there are others."""
        while not self._engines:
            self._changed.clear()
            await self._changed.wait()
        others = [engine_id for engine_id in self._engines if engine_id not in failed]
        loads = {engine_id: self._load[engine_id] for engine_id in others or self._engines}
        if preferred in loads and loads[preferred] <= OVERLOAD * sum(loads.values()) / len(loads) + OVERLOAD_SEQUENCES:
            return preferred
        return min(loads, key=loads.__getitem__)

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
    return isinstance(error.cause, EngineDied)
