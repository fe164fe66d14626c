"""Fleet: the engines of a run. Keeps every pool at its wanted number; loads, replaces and lets go in the background, so
that no heartbeat waits for vLLM.

    starting -> serving -> (dead, hung, or out of its pool) starting ...       starting -> failed -> starting ...
    any of them -> leaving, when its pool is wanted smaller: no new work; what runs ends; then its processes do
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from ray.exceptions import RayActorError, RayError, RayTaskError

from actors import kv_use
from actors.engine_pool import PoolState, engine_died
from actors.heartbeats import Round, Silent, heard_of
from actors.restarts import Restarts
from common.config import PoolSpec
from common.errors import last_line
from common.metrics import ACTORS, ACTORS_WANTED, ENGINE_RESTARTS, SYNCS, Board
from common.weights import SyncOutcome

END_SECONDS = 90.0
"""For an engine to end by itself. One that still loads hears it only then; killed, it leaves shared memory behind."""

KILL_SECONDS = 5.0
"""For an engine's actor to kill a vLLM that hangs."""

DRAIN_SECONDS = 120.0
"""For an actor that leaves to finish what it has in hand; others do it again after that."""


class NotProved(RuntimeError):
    """A newly loaded engine could not prove that it holds the policy."""


class Door(Protocol):
    """The weight channel that a pool's engines follow, as the fleet knows it."""

    async def join(self, pool: Any, engine: str, handle: Any, loaded_version: int = 0) -> SyncOutcome:
        """Let an engine serve once it has proved the newest policy."""

    async def leave(self, pool: Any, engine: str) -> None:
        """Give an engine no more work, between two publications."""


class EnginePlacement(Protocol):
    """Starts and ends engines."""

    model_folder: Path  # which they load

    def engine(self, pool: PoolSpec, engine_id: str) -> Any:
        """A new, not yet loaded engine."""

    def kill(self, handle: Any) -> None:
        """End an actor at once; harmless when it is dead."""


@dataclass(eq=False)
class _Berth:
    """The place of one engine, and who is in it."""

    pool: PoolSpec
    slot: str
    engine_id: str = ""
    handle: Any = None
    state: Literal["starting", "serving", "failed"] = "starting"
    loaded: bool = False  # or loading, when it hears nothing
    since: float = 0.0  # loop time at which it began to serve
    work: asyncio.Future[None] | None = None  # its start or replacement


class Fleet:
    """One a run. `pools` may be set to other numbers of engines at any time; the next heartbeat makes it so.

    `name` gives each newborn of a slot a name of its own.
    """

    def __init__(
        self,
        pools: tuple[PoolSpec, ...],
        placement: EnginePlacement,
        routers: Mapping[str, Any],
        door: Callable[[PoolSpec], Door],
        board: Board,
        restarts: Restarts,
        name: Callable[[str], str],
    ) -> None:
        self.pools = pools
        self._placement, self._routers, self._door = placement, routers, door
        self._board, self._restarts, self._name = board, restarts, name
        self._berths: dict[str, _Berth] = {}  # by slot
        self._leaving: set[_Berth] = set()
        self._works: set[asyncio.Future[None]] = set()
        self._loads = asyncio.Lock()  # one after another: loading several at once doubles the peak memory

    async def start(self) -> None:
        """Bring up every engine. One that dies of it is left to the first heartbeat."""
        self._berths = {slot: _Berth(pool, slot) for slot, pool in self._wanted().items()}
        starts = [asyncio.ensure_future(self._first(berth)) for berth in self._berths.values()]
        try:
            await asyncio.gather(*starts)
        finally:
            for start in starts:
                start.cancel()

    def asks(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        """The heartbeats to ask for, by engine id: of those that should serve."""
        return {berth.engine_id: berth.handle.check_health.remote for berth in self._in_state("serving")}

    async def beat(self, heard: Round, states: Mapping[str, PoolState]) -> None:
        """One round: begin to replace the dead, grow and shrink."""
        kv_use.show(self._board, [(b.pool, heard.answers.get(b.engine_id)) for b in self._in_state("serving")])
        for berth in self._in_state("serving"):
            if (fault := heard.faults.get(berth.engine_id)) is not None:
                await self._give_up(berth, fault)
            elif self._is_missing(berth, heard, states):
                berth.state = "failed"
        for berth in self._in_state("failed"):
            self._begin(berth, self._replace(berth))
        self._fit()
        self._board.set(ACTORS, float(len(self._in_state("serving"))), "engine")
        self._board.set(ACTORS_WANTED, float(len(self._wanted())), "engine")

    def check(self) -> None:
        """Raise what the work in the background raised."""
        for work in [work for work in self._works if work.done()]:
            self._works.discard(work)
            if not work.cancelled():
                work.result()

    async def stop(self) -> None:
        """End every engine."""
        for work in self._works:
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)
        for berth in (*self._berths.values(), *self._leaving):
            if berth.loaded:
                await self._shut_down(berth)
            elif berth.handle is not None:
                self._placement.kill(berth.handle)

    def _wanted(self) -> dict[str, PoolSpec]:
        return {f"{pool.name}-{number}": pool for pool in self.pools for number in range(pool.engines)}

    def _in_state(self, state: str) -> list[_Berth]:
        return [berth for berth in self._berths.values() if berth.state == state]

    @staticmethod
    def _is_missing(berth: _Berth, heard: Round, states: Mapping[str, PoolState]) -> bool:
        """Whether its pool, asked since it began to serve, does not name it."""
        name = berth.pool.name
        if name not in states or berth.since >= heard.asked[f"pool {name}"]:
            return False
        return berth.engine_id not in states[name].serving

    def _fit(self) -> None:
        wanted = self._wanted()
        for slot in [slot for slot in self._berths if slot not in wanted]:
            berth = self._berths.pop(slot)
            self._leaving.add(berth)
            self._in_background(self._leave(berth))
        for slot, pool in wanted.items():
            if slot not in self._berths:
                self._berths[slot] = berth = _Berth(pool, slot)
                self._begin(berth, self._grow(berth))

    def _begin(self, berth: _Berth, work: Coroutine[Any, Any, None]) -> None:
        berth.state, berth.loaded = "starting", False
        berth.work = self._in_background(work)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(heard_of)
        return task

    async def _give_up(self, berth: _Berth, fault: BaseException) -> None:
        """Take an engine that died, or hangs, out of its pool."""
        if not isinstance(fault, Silent) and not _died(fault):
            raise fault
        await self._routers[berth.pool.name].quarantine.remote(berth.engine_id)
        berth.state = "failed"

    async def _grow(self, berth: _Berth) -> None:
        try:
            await self._bring_up(berth)
        except (RayError, NotProved) as error:
            berth.state = "failed"  # the next heartbeat replaces it
            self._restarts.notify(f"engine {berth.engine_id} could not start: {last_line(error)}")

    async def _replace(self, berth: _Berth) -> None:
        lost = berth.engine_id
        await self._destroy(berth)
        await self._restarts.spend(f"engine {lost} died, hung or failed its sync; starting another")
        self._board.add(ENGINE_RESTARTS.name)
        try:
            await self._bring_up(berth)
        except (RayError, NotProved) as error:
            berth.state = "failed"
            self._restarts.notify(f"the replacement of engine {lost} failed too: {last_line(error)}")

    async def _first(self, berth: _Berth) -> None:
        try:
            await self._bring_up(berth)
        except RayError as error:
            if not _died(error):
                raise
            berth.state = "failed"

    async def _bring_up(self, berth: _Berth) -> None:
        """A new engine in this place: it loads, proves the policy, serves."""
        berth.engine_id = self._name(berth.slot)
        berth.handle = self._placement.engine(berth.pool, berth.engine_id)
        await berth.handle.__ray_ready__.remote()  # one that waits for a GPU holds up nobody else
        async with self._loads:
            berth.loaded = True
            await berth.handle.load.remote(self._placement.model_folder)
            await self._admit(berth)
        berth.state, berth.since = "serving", asyncio.get_running_loop().time()

    async def _admit(self, berth: _Berth) -> None:
        router, engine_id = self._routers[berth.pool.name], berth.engine_id
        if berth.pool.frozen:  # nothing to prove: it serves what it loaded, for ever
            await router.admit.remote(engine_id, berth.handle)
            return
        outcome = await self._door(berth.pool).join(router, engine_id, berth.handle)
        self._board.add(SYNCS.name, 1, "ok" if outcome.ok else "failed")
        if not outcome.ok:
            await berth.handle.check_health.remote()  # raises where the fault was its death
            raise NotProved(f"engine {engine_id} does not hold the policy: {outcome.failures[engine_id]}")

    async def _leave(self, berth: _Berth) -> None:
        """Let an engine go. What it runs ends there; past the deadline it is done again elsewhere."""
        if berth.work is not None and not berth.work.done():
            if not berth.loaded:
                berth.work.cancel()
            await asyncio.wait([berth.work])
        if berth.loaded:
            await self._drain(berth)
        elif berth.handle is not None:
            await self._destroy(berth)
        self._leaving.discard(berth)

    async def _drain(self, berth: _Berth) -> None:
        router, engine_id = self._routers[berth.pool.name], berth.engine_id
        try:
            if berth.pool.frozen:
                await router.quarantine.remote(engine_id)
            else:
                await self._door(berth.pool).leave(router, engine_id)
            await asyncio.wait_for(_call(router.idle, engine_id), DRAIN_SECONDS)
        except TimeoutError:
            self._restarts.notify(
                f"engine {engine_id} leaves after {DRAIN_SECONDS:g} s: others redo what it has in hand"
            )
            await self._destroy(berth)
        except RayActorError:  # the pool died: the next heartbeat says so
            await self._destroy(berth)
        else:
            await self._shut_down(berth)

    async def _shut_down(self, berth: _Berth) -> None:
        try:
            await asyncio.wait_for(_call(berth.handle.shutdown), END_SECONDS)
        except (RayError, TimeoutError):
            self._restarts.notify(f"engine {berth.engine_id} did not end by itself")
        self._placement.kill(berth.handle)

    async def _destroy(self, berth: _Berth) -> None:
        with suppress(RayError, TimeoutError):  # mostly it is dead already, and vLLM follows it
            await asyncio.wait_for(_call(berth.handle.kill_core), KILL_SECONDS)
        self._placement.kill(berth.handle)


def _died(fault: BaseException) -> bool:
    return isinstance(fault, RayActorError | RayTaskError) and engine_died(fault)


async def _call(method: Any, *arguments: Any) -> None:
    await method.remote(*arguments)
