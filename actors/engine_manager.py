"""EngineManager: the engines of a run. Keeps every pool at its wanted number; loads, replaces and retires engines in
the background, so that no heartbeat waits for vLLM.

    starting -> serving -> failed (dead, hung, or missing in its pool) -> starting ...
    any of them -> leaving, when its pool shrinks: no new work, running requests finish, then its processes end
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ray.exceptions import RayActorError, RayError, RayTaskError

from actors import kv_use
from actors.engine_pool import PoolState, engine_died
from actors.heartbeats import Responses, Unresponsive, consume_exception
from actors.restarts import RestartBudget, log_of
from common.config import PoolSpec
from common.errors import last_line
from common.metrics import ACTORS, ACTORS_WANTED, ENGINE_RESTARTS, SYNCS, Board
from common.remote import Arguments, Remote
from common.weights import SyncOutcome

if TYPE_CHECKING:
    from actors.handles import EngineHandle, PoolHandle

LOG = logging.getLogger(__name__)

END_SECONDS = 90.0
"""Time for an engine to end by itself. It handles shutdown only after loading; killing it leaks /dev/shm files."""

KILL_SECONDS = 5.0
"""Time for an engine's actor to kill a hanging vLLM."""

DRAIN_SECONDS = 120.0
"""Time for a retiring actor to finish its work; then the work is given to others."""


class NotProved(RuntimeError):
    """A newly loaded engine could not prove that it holds the policy."""


class WeightSync(Protocol):
    """The weight channel that a pool's engines follow, as the engine manager knows it."""

    async def join(self, pool: PoolHandle, engine: str, handle: EngineHandle, loaded_version: int = 0) -> SyncOutcome:
        """Let an engine serve once it has proved the newest policy."""

    async def leave(self, pool: PoolHandle, engine: str) -> None:
        """Give an engine no more work; waits for a running publication."""


class EnginePlacement(Protocol):
    """Starts and ends engines."""

    def folder(self, pool: PoolSpec) -> Path:
        """The model folder that engines of the pool load."""

    def engine(self, pool: PoolSpec, engine_id: str) -> EngineHandle:
        """A new, not yet loaded engine."""

    def machine(self, engine: EngineHandle) -> str:
        """Id of the machine on which a started engine is."""

    def kill(self, handle: Any) -> None:
        """End an actor at once; harmless when it is dead."""


@dataclass(eq=False)
class _EngineSlot:
    """One engine position of a pool, and the engine that fills it now."""

    pool: PoolSpec
    name: str
    engine_id: str = ""
    handle: EngineHandle | None = None
    state: Literal["starting", "serving", "failed"] = "starting"
    loaded: bool = False  # or loading, during which it answers no call
    since: float = 0.0  # loop time at which it began to serve
    work: asyncio.Future[None] | None = None  # its start or replacement

    @property
    def engine(self) -> EngineHandle:
        assert self.handle is not None, f"{self.name} has no engine yet"
        return self.handle


class EngineManager:
    """One per run. The numbers of engines in `pools` may be changed at any time; the next heartbeat applies them.

    `name` returns a new, unique name for each engine of a slot.
    """

    def __init__(
        self,
        pools: tuple[PoolSpec, ...],
        placement: EnginePlacement,
        routers: Mapping[str, PoolHandle],
        weights: Callable[[PoolSpec], WeightSync],
        board: Board,
        restarts: RestartBudget,
        name: Callable[[str], str],
    ) -> None:
        self.pools = pools
        self._placement, self._routers, self._weights = placement, routers, weights
        self._board, self._restarts, self._name = board, restarts, name
        self._slots: dict[str, _EngineSlot] = {}  # by slot name
        self._leaving: set[_EngineSlot] = set()
        self._works: set[asyncio.Future[None]] = set()
        # By machine: several loads at once on one double its peak memory.
        self._loads = defaultdict[str, asyncio.Lock](asyncio.Lock)

    async def start(self) -> None:
        """Bring up every engine. The first heartbeat replaces those that die while starting."""
        self._slots = {name: _EngineSlot(pool, name) for name, pool in self._wanted().items()}
        starts = [asyncio.ensure_future(self._first(slot)) for slot in self._slots.values()]
        try:
            await asyncio.gather(*starts)
        finally:
            for start in starts:
                start.cancel()

    def asks(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        """The heartbeat calls, by engine id, for the engines that should serve."""
        return {slot.engine_id: slot.engine.check_health.remote for slot in self._in_state("serving")}

    async def beat(self, responses: Responses, states: Mapping[str, PoolState]) -> None:
        """One round: replace dead engines, grow and shrink."""
        kv_use.show(self._board, [(b.pool, responses.answers.get(b.engine_id)) for b in self._in_state("serving")])
        for slot in self._in_state("serving"):
            if (fault := responses.faults.get(slot.engine_id)) is not None:
                await self._mark_failed(slot, fault)
            elif self._is_missing(slot, responses, states):
                slot.state = "failed"
        for slot in self._in_state("failed"):
            self._begin(slot, self._replace(slot))
        self._fit()
        self._board.set(ACTORS, float(len(self._in_state("serving"))), "engine")
        self._board.set(ACTORS_WANTED, float(len(self._wanted())), "engine")

    def check(self) -> None:
        """Re-raise errors of background tasks."""
        for work in [work for work in self._works if work.done()]:
            self._works.discard(work)
            if not work.cancelled():
                work.result()

    async def stop(self) -> None:
        """End every engine."""
        for work in self._works:
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)
        for slot in (*self._slots.values(), *self._leaving):
            if slot.loaded:
                await self._shut_down(slot)
            elif slot.handle is not None:
                self._placement.kill(slot.handle)

    def _wanted(self) -> dict[str, PoolSpec]:
        return {f"{pool.name}-{number}": pool for pool in self.pools for number in range(pool.engines)}

    def _in_state(self, state: str) -> list[_EngineSlot]:
        return [slot for slot in self._slots.values() if slot.state == state]

    @staticmethod
    def _is_missing(slot: _EngineSlot, responses: Responses, states: Mapping[str, PoolState]) -> bool:
        """Whether its pool, asked after it began to serve, does not list it."""
        name = slot.pool.name
        if name not in states or slot.since >= responses.asked[f"pool {name}"]:
            return False
        return slot.engine_id not in states[name].serving

    def _fit(self) -> None:
        wanted = self._wanted()
        for name in [name for name in self._slots if name not in wanted]:
            slot = self._slots.pop(name)
            self._leaving.add(slot)
            self._in_background(self._retire(slot))
        for name, pool in wanted.items():
            if name not in self._slots:
                self._slots[name] = slot = _EngineSlot(pool, name)
                self._begin(slot, self._grow(slot))

    def _begin(self, slot: _EngineSlot, work: Coroutine[Any, Any, None]) -> None:
        slot.state, slot.loaded = "starting", False
        slot.work = self._in_background(work)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(consume_exception)
        return task

    async def _mark_failed(self, slot: _EngineSlot, fault: BaseException) -> None:
        """Remove an engine that died or hangs from its pool. Raises any other error."""
        if not isinstance(fault, Unresponsive) and not _died(fault):
            raise fault
        await self._routers[slot.pool.name].quarantine.remote(slot.engine_id)
        slot.state = "failed"
        LOG.warning("engine %s is quarantined: %s", slot.engine_id, last_line(fault))

    async def _grow(self, slot: _EngineSlot) -> None:
        try:
            await self._bring_up(slot)
        except (RayError, NotProved) as error:
            slot.state = "failed"  # the next heartbeat replaces it
            what = f"engine {slot.engine_id} could not start: {last_line(error)}"
            self._restarts.notify(f"{what}{log_of(slot.engine_id)}")

    async def _replace(self, slot: _EngineSlot) -> None:
        lost = slot.engine_id
        await self._destroy(slot)
        await self._restarts.consume(f"engine {lost} died, hung or failed its sync; starting another", slot.name, lost)
        self._board.add(ENGINE_RESTARTS.name)
        try:
            await self._bring_up(slot)
        except (RayError, NotProved) as error:
            slot.state = "failed"
            what = f"the replacement of engine {lost} failed too: {last_line(error)}"
            self._restarts.notify(f"{what}{log_of(slot.engine_id)}")

    async def _first(self, slot: _EngineSlot) -> None:
        try:
            await self._bring_up(slot)
        except RayError as error:
            if not _died(error):
                raise
            slot.state = "failed"

    async def _bring_up(self, slot: _EngineSlot) -> None:
        """Start a new engine in this slot: it loads, proves the policy, serves."""
        slot.engine_id = self._name(slot.name)
        slot.handle = self._placement.engine(slot.pool, slot.engine_id)
        await slot.engine.__ray_ready__.remote()  # before the lock: an engine that waits for a GPU delays no other
        async with self._loads[self._placement.machine(slot.engine)]:
            slot.loaded = True
            await slot.engine.load.remote(self._placement.folder(slot.pool))
            await self._admit(slot)
        slot.state, slot.since = "serving", asyncio.get_running_loop().time()
        LOG.info("engine %s serves", slot.engine_id)

    async def _admit(self, slot: _EngineSlot) -> None:
        router, engine_id = self._routers[slot.pool.name], slot.engine_id
        if slot.pool.frozen:  # nothing to prove: it serves what it loaded
            await router.admit.remote(engine_id, slot.engine)
            return
        outcome = await self._weights(slot.pool).join(router, engine_id, slot.engine)
        self._board.add(SYNCS.name, 1, "ok" if outcome.ok else "failed")
        if not outcome.ok:
            await slot.engine.check_health.remote()  # raises if the engine died
            raise NotProved(f"engine {engine_id} does not hold the policy: {outcome.failures[engine_id]}")

    async def _retire(self, slot: _EngineSlot) -> None:
        """Retire an engine. Its running requests finish there; past the deadline they are repeated elsewhere."""
        if slot.work is not None and not slot.work.done():
            if not slot.loaded:
                slot.work.cancel()
            await asyncio.wait([slot.work])
        if slot.loaded:
            await self._drain(slot)
        elif slot.handle is not None:
            await self._destroy(slot)
        self._leaving.discard(slot)

    async def _drain(self, slot: _EngineSlot) -> None:
        router, engine_id = self._routers[slot.pool.name], slot.engine_id
        try:
            if slot.pool.frozen:
                await router.quarantine.remote(engine_id)
            else:
                await self._weights(slot.pool).leave(router, engine_id)
            await asyncio.wait_for(_call(router.idle, engine_id), DRAIN_SECONDS)
        except TimeoutError:
            self._restarts.notify(
                f"engine {engine_id} did not drain in {DRAIN_SECONDS:g} s: other engines repeat its requests"
            )
            await self._destroy(slot)
        except RayActorError:  # the pool died: the next heartbeat reports it
            await self._destroy(slot)
        else:
            await self._shut_down(slot)

    async def _shut_down(self, slot: _EngineSlot) -> None:
        try:
            await asyncio.wait_for(_call(slot.engine.shutdown), END_SECONDS)
        except (RayError, TimeoutError):
            self._restarts.notify(f"engine {slot.engine_id} did not end by itself")
        self._placement.kill(slot.handle)

    async def _destroy(self, slot: _EngineSlot) -> None:
        with suppress(RayError, TimeoutError):  # usually it is dead already, and vLLM with it
            await asyncio.wait_for(_call(slot.engine.kill_core), KILL_SECONDS)
        self._placement.kill(slot.handle)


def _died(fault: BaseException) -> bool:
    return isinstance(fault, RayActorError | RayTaskError) and engine_died(fault)


async def _call(method: Remote[Arguments, object], *arguments: Arguments.args, **named: Arguments.kwargs) -> None:
    await method.remote(*arguments, **named)
