"""Supervisor: keeps the rollout side equal to the spec. Starts engines and role actors, hears their heartbeats,
replaces the dead. It knows no Ray API but the errors: `Placement` starts and ends actors, so tests run it over fakes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from ray.exceptions import RayActorError, RayError

from common.config import PoolSpec, RunSpec
from common.errors import last_line
from common.metrics import ACTOR_RESTARTS, BUFFER, CLAIMED, ENGINE_RESTARTS, IMBALANCE, MADE, PHASE, SYNCS, Board
from common.weights import SyncOutcome

HEARTBEAT_SECONDS = 1.0
MAX_RESTARTS = 5
"""Of one engine or role actor without a published step in between: more is not bad luck but a fault."""

END_SECONDS = 90.0
"""For an engine to end by itself. One that still loads hears it only then; killed, it leaves shared memory behind."""

Join = Callable[[Any, str, Any, int], Awaitable[SyncOutcome]]
Examine = Callable[[], Coroutine[Any, Any, None]]


class NotProved(RuntimeError):
    """A newly loaded engine could not prove that it holds the policy."""


class Placement(Protocol):
    """Starts and ends actors."""

    def engine(self, pool: PoolSpec, engine_id: str) -> Any:
        """A new, not yet loaded engine."""

    def role(self, kind: str, name: str) -> Any:
        """A new Scribe or Doctor."""

    def kill(self, handle: Any) -> None:
        """End an actor at once; harmless when it is dead."""


class Supervisor:
    """One a run. `start` returns when every actor serves; `watch` runs until cancelled and raises what it cannot mend.

    An actor that took the place of a dead one is called `engines-0.1` (then `.2` and so on) after it.
    """

    def __init__(
        self,
        spec: RunSpec,
        placement: Placement,
        pools: dict[str, Any],
        buffer: Any,
        join: Join,
        board: Board,
        on_note: Callable[[str], None],
    ) -> None:
        self._spec, self._placement, self._pools, self._buffer = spec, placement, pools, buffer
        self._join, self._board = join, board
        self._engines: dict[str, tuple[PoolSpec, Any]] = {}
        self._shared_memory: dict[str, tuple[str, ...]] = {}
        self._runs: dict[str, tuple[str, Any, asyncio.Future[None]]] = {}
        self._births: dict[str, int] = {}
        self._restarts = 0
        self._note = on_note

    async def start(self, on_phase: Callable[[str], None], examine: Examine | None = None) -> None:
        """Load every engine, let each prove the policy, then start the role actors, after `examine` where there is one.

        Engines of a frozen pool have nothing to prove: they serve what they loaded, for ever.
        """
        on_phase("starting engines")
        slots = [(pool, f"{pool.name}-{number}") for pool in self._spec.pools for number in range(pool.engines)]
        for pool, slot in slots:  # one after another: loading several at once doubles the peak memory
            await self._start_engine(pool, slot)
        if examine is not None:
            await self._beating(examine())
        for kind, count in (("scribe", self._spec.rollout.scribes), ("doctor", self._spec.rollout.doctors)):
            for number in range(count):
                self._start_role(kind, f"{kind}-{number}")

    async def _beating(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for `work` while replacing engines that die under it."""
        working, watching = asyncio.ensure_future(work), asyncio.ensure_future(self.watch())
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            watching.result()  # raises what could not be mended
        watching.cancel()
        working.result()

    async def watch(self) -> None:
        """Heartbeats and replacements, for ever. Raises RuntimeError when an actor dies again and again."""
        while True:
            await self.beat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def beat(self) -> None:
        """One round: counters in, the dead replaced."""
        busy = dict.fromkeys(("engine", "scribe", "doctor"), False)
        for name, pool in self._pools.items():
            state = await pool.state.remote()
            self._board.merge(f"pool {name}", state.counts)
            busy["engine"] |= state.in_flight > 0
            await self._replace_engines(name, set(state.serving))
        for name in list(self._runs):
            busy[self._runs[name][0]] |= await self._check_role(name)
        for kind, works in busy.items():
            self._board.set(PHASE, float(works), kind)
        self._report_buffer(await self._buffer.stats.remote())

    def progressed(self) -> None:
        """A step was published: earlier restarts were bad luck."""
        self._restarts = 0

    async def _start_engine(self, pool: PoolSpec, slot: str) -> None:
        engine_id = self._name(slot)
        handle = self._placement.engine(pool, engine_id)
        self._engines[engine_id] = (pool, handle)
        await handle.load.remote(0)
        self._shared_memory[engine_id] = await handle.shared_memory.remote()
        if pool.frozen:
            await self._pools[pool.name].admit.remote(engine_id, handle)
            return
        outcome = await self._join(self._pools[pool.name], engine_id, handle, 0)
        self._board.add(SYNCS.name, 1, "ok" if outcome.ok else "failed")
        if not outcome.ok:
            raise NotProved(f"engine {engine_id} does not hold the policy: {outcome.failures[engine_id]}")

    def _name(self, slot: str) -> str:
        birth = self._births.get(slot, 0)
        self._births[slot] = birth + 1
        return f"{slot}.{birth}" if birth else slot

    async def _replace_engines(self, pool: str, serving: set[str]) -> None:
        missing = [e for e, (spec, _) in self._engines.items() if spec.name == pool and e not in serving]
        for engine_id in missing:
            spec, handle = self._engines.pop(engine_id)
            self._count_restart(f"engine {engine_id} died or failed its sync; starting another")
            self._placement.kill(handle)
            sweep(self._shared_memory.pop(engine_id, ()))
            self._board.add(ENGINE_RESTARTS.name)
            try:
                await self._start_engine(spec, engine_id.split(".")[0])
            except (RayError, NotProved) as error:  # it does not serve, so the next heartbeat tries again
                self._note(f"the replacement of engine {engine_id} failed too: {last_line(error)}")

    def _start_role(self, kind: str, slot: str) -> None:
        name = self._name(slot)
        handle = self._placement.role(kind, name)
        self._runs[name] = (kind, handle, asyncio.ensure_future(_finished(handle)))

    async def _check_role(self, name: str) -> bool:
        """Hear a role actor, or replace it; whether it is busy."""
        kind, handle, run = self._runs[name]
        if not run.done():
            with suppress(RayActorError):  # it died just now: its run will say so
                busy, counts = await handle.state.remote()
                self._board.merge(name, counts)
                return bool(busy)
            return False
        error = run.exception()
        if error is None:
            return False  # the buffer closed
        if not isinstance(error, RayActorError):
            raise error
        del self._runs[name]
        self._count_restart(f"{name} died; starting another")
        give_back = self._buffer.return_leases if kind == "doctor" else self._buffer.return_claims
        await give_back.remote(name)
        self._board.add(ACTOR_RESTARTS.name, 1, kind)
        self._start_role(kind, name.split(".")[0])
        return False

    def _count_restart(self, note: str) -> None:
        self._restarts += 1
        self._note(note)
        if self._restarts > MAX_RESTARTS:
            raise RuntimeError(f"{note}: gave up after {MAX_RESTARTS} restarts without a published step in between")

    def _report_buffer(self, stats: dict[str, Any]) -> None:
        for state in BUFFER.values:
            self._board.set(BUFFER, stats[state], state)
        for metric, name in ((MADE, "made"), (CLAIMED, "claimed"), (IMBALANCE, "imbalance")):
            self._board.set(metric, stats[name])
        self._board.merge("buffer", stats["counts"])

    async def stop(self) -> None:
        """End every actor that this supervisor started, and what they left in shared memory."""
        for _kind, handle, run in self._runs.values():
            run.cancel()
            self._placement.kill(handle)
        for engine_id, (_spec, handle) in self._engines.items():
            try:
                await asyncio.wait_for(_call(handle.shutdown), END_SECONDS)
            except (RayError, TimeoutError):
                self._note(f"engine {engine_id} did not end by itself")
            self._placement.kill(handle)
            sweep(self._shared_memory.get(engine_id, ()))


def sweep(paths: tuple[str, ...]) -> None:
    """Remove the shared-memory files of a dead engine (vLLM leaves 200 MB behind when it is killed)."""
    for path in paths:
        Path(path).unlink(missing_ok=True)


async def _finished(handle: Any) -> None:
    await handle.run.remote()


async def _call(method: Any) -> None:
    await method.remote()
