"""Supervisor: keeps the rollout side equal to the spec. Starts engines and role actors, hears everyone's heartbeats,
replaces the dead. It knows no Ray API but the errors: `Placement` starts and ends actors, so tests run it over fakes.

    who died                         what follows
    engine, or vLLM under it         another engine, which serves once it has proved the policy
    Scribe, Doctor                   another of the same kind; claims and leases return
    buffer                           another from its journal, between two steps of the learner, and new role actors
    learner rank, engine pool        ActorLost: the run starts over from its newest checkpoint, in the same process

Who gives no answer for `rollout.silence_seconds` is killed, and so dies. A step takes its time: whether a rank
hangs, its caller knows (learner/ranks.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol

from ray.exceptions import RayActorError, RayError, RayTaskError

from actors import kv_use
from actors.engine_pool import engine_died
from actors.pulse import Pulse, Round, Silent
from actors.restarts import Restarts
from common.config import PoolSpec, RunSpec
from common.errors import ActorLost, last_line
from common.metrics import ACTOR_RESTARTS, BUFFER, CLAIMED, ENGINE_RESTARTS, IMBALANCE, MADE, PHASE, SYNCS, Board
from common.weights import SyncOutcome

HEARTBEAT_SECONDS = 1.0

END_SECONDS = 90.0
"""For an engine to end by itself. One that still loads hears it only then; killed, it leaves shared memory behind."""

KILL_SECONDS = 5.0
"""For an engine's actor to kill a vLLM that hangs."""

Join = Callable[[Any, str, Any, int], Awaitable[SyncOutcome]]
Examine = Callable[[], Coroutine[Any, Any, None]]


class NotProved(RuntimeError):
    """A newly loaded engine could not prove that it holds the policy."""


class Placement(Protocol):
    """Starts and ends actors."""

    def engine(self, pool: PoolSpec, engine_id: str) -> Any:
        """A new, not yet loaded engine."""

    def role(self, kind: str, name: str) -> Any:
        """A new Scribe or Doctor over the newest buffer."""

    def replay_buffer(self, trained_steps: int | None) -> Any:
        """A new buffer over the run's journal."""

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
        restarts: Restarts,
        ranks: Sequence[Any] = (),
    ) -> None:
        self._spec, self._placement, self._pools, self._buffer = spec, placement, pools, buffer
        self._join, self._board, self._restarts = join, board, restarts
        self._ranks = {f"learner rank {number}": rank for number, rank in enumerate(ranks)}
        self._engines: dict[str, tuple[PoolSpec, Any]] = {}
        self._runs: dict[str, tuple[str, Any, asyncio.Future[None]]] = {}
        self._births: dict[str, int] = {}
        self._pulse = Pulse(spec.rollout.silence_seconds)
        self._mending = asyncio.Lock()

    async def start(self, on_phase: Callable[[str], None], examine: Examine | None = None) -> None:
        """Load every engine, let each prove the policy, then start the role actors, after `examine` where there is one.

        Engines of a frozen pool have nothing to prove: they serve what they loaded, for ever.
        """
        on_phase("starting engines")
        slots = [(pool, f"{pool.name}-{number}") for pool in self._spec.pools for number in range(pool.engines)]
        for pool, slot in slots:  # one after another: loading several at once doubles the peak memory
            try:
                await self._start_engine(pool, slot)
            except RayError as error:
                if not _died(error):
                    raise  # the first heartbeat replaces one that died
        if examine is not None:
            await self._beating(examine())
        self._start_roles()

    def _start_roles(self) -> None:
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
        """Heartbeats and replacements, for ever. Raises ActorLost, and BudgetSpent when actors die again and again."""
        while True:
            await self.beat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def beat(self) -> None:
        """One round: counters in, the dead replaced."""
        async with self._mending:
            heard = await self._pulse.round(self._asks(), {n: h.__ray_ready__.remote for n, h in self._ranks.items()})
            self._check_lost(heard)
            if (stats := heard.answers.get("buffer")) is None:
                return  # dead: the learner asks for another between two steps; until then, roles die of it
            self._report_buffer(stats)
            kv_use.show(self._board, [(pool, heard.answers.get(name)) for name, (pool, _) in self._engines.items()])
            for engine_id in [name for name in self._engines if name in heard.faults]:
                await self._give_up_engine(engine_id, heard.faults[engine_id])
            busy = dict.fromkeys(("engine", "scribe", "doctor"), False)
            for name in self._pools:
                if (state := heard.answers.get(f"pool {name}")) is not None:
                    self._board.merge(f"pool {name}", state.counts)
                    busy["engine"] |= state.in_flight > 0
                    await self._replace_engines(name, set(state.serving) - set(heard.faults))
            for name in list(self._runs):
                busy[self._runs[name][0]] |= await self._check_role(name, heard)
            for kind, works in busy.items():
                self._board.set(PHASE, float(works), kind)

    def _asks(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        return {
            "buffer": self._buffer.stats.remote,
            **{f"pool {name}": pool.state.remote for name, pool in self._pools.items()},
            **{engine_id: handle.check_health.remote for engine_id, (_, handle) in self._engines.items()},
            **{name: handle.state.remote for name, (_, handle, run) in self._runs.items() if not run.done()},
        }

    def _check_lost(self, heard: Round) -> None:
        """Raises ActorLost for those that cannot be replaced alone; ends a silent buffer, so that its callers hear."""
        for name in (*self._ranks, *(f"pool {name}" for name in self._pools)):
            if name in heard.faults:
                kind = "learner" if name in self._ranks else "pool"
                raise ActorLost(kind, f"{name} died ({last_line(heard.faults[name])})")
        if isinstance(heard.faults.get("buffer"), Silent):
            self._placement.kill(self._buffer)

    async def _give_up_engine(self, engine_id: str, fault: BaseException) -> None:
        """Take an engine that died, or hangs, out of its pool."""
        if not isinstance(fault, Silent) and not _died(fault):
            raise fault
        spec, _ = self._engines[engine_id]
        await self._pools[spec.name].quarantine.remote(engine_id)

    async def new_buffer(self, version: int) -> Any:
        """The dead buffer's successor, which has trained `version` steps, and new role actors over it."""
        async with self._mending:
            self._placement.kill(self._buffer)
            await self._restarts.spend("the replay buffer died; starting another from its journal")
            self._board.add(ACTOR_RESTARTS.name, 1, "buffer")
            self._buffer = self._placement.replay_buffer(version)
            self._end_roles()
            self._start_roles()
            return self._buffer

    async def _start_engine(self, pool: PoolSpec, slot: str) -> None:
        engine_id = self._name(slot)
        handle = self._placement.engine(pool, engine_id)
        self._engines[engine_id] = (pool, handle)
        await handle.load.remote(0)
        if pool.frozen:
            await self._pools[pool.name].admit.remote(engine_id, handle)
            return
        outcome = await self._join(self._pools[pool.name], engine_id, handle, 0)
        self._board.add(SYNCS.name, 1, "ok" if outcome.ok else "failed")
        if not outcome.ok:
            await handle.check_health.remote()  # raises where the fault was its death
            raise NotProved(f"engine {engine_id} does not hold the policy: {outcome.failures[engine_id]}")

    def _name(self, slot: str) -> str:
        birth = self._births.get(slot, 0)
        self._births[slot] = birth + 1
        return f"{slot}.{birth}" if birth else slot

    async def _replace_engines(self, pool: str, serving: set[str]) -> None:
        missing = [e for e, (spec, _) in self._engines.items() if spec.name == pool and e not in serving]
        for engine_id in missing:
            spec, handle = self._engines.pop(engine_id)
            with suppress(RayError, TimeoutError):  # mostly it is dead already, and vLLM follows it
                await asyncio.wait_for(_call(handle.kill_core), KILL_SECONDS)
            self._placement.kill(handle)
            await self._restarts.spend(f"engine {engine_id} died, hung or failed its sync; starting another")
            self._board.add(ENGINE_RESTARTS.name)
            try:
                await self._start_engine(spec, engine_id.split(".")[0])
            except (RayError, NotProved) as error:  # it does not serve, so the next heartbeat tries again
                self._restarts.note(f"the replacement of engine {engine_id} failed too: {last_line(error)}")

    def _start_role(self, kind: str, slot: str) -> None:
        name = self._name(slot)
        handle = self._placement.role(kind, name)
        self._runs[name] = (kind, handle, asyncio.ensure_future(_finished(handle)))

    async def _check_role(self, name: str, heard: Round) -> bool:
        """Hear a role actor, or replace it; whether it is busy."""
        kind, handle, run = self._runs[name]
        if isinstance(heard.faults.get(name), Silent):
            self._placement.kill(handle)  # its run will say so
        if not run.done():
            busy, counts = heard.answers.get(name, (False, {}))
            self._board.merge(name, counts)
            return bool(busy)
        error = run.exception()
        if error is None:
            return False  # the buffer closed
        if not isinstance(error, RayActorError):
            raise error
        del self._runs[name]
        await self._restarts.spend(f"{name} died; starting another")
        give_back = self._buffer.return_leases if kind == "doctor" else self._buffer.return_claims
        with suppress(RayActorError):  # the buffer died meanwhile: its journal gives them back
            await give_back.remote(name)
        self._board.add(ACTOR_RESTARTS.name, 1, kind)
        self._start_role(kind, name.split(".")[0])
        return False

    def _report_buffer(self, stats: dict[str, Any]) -> None:
        for state in BUFFER.values:
            self._board.set(BUFFER, stats[state], state)
        for metric, name in ((MADE, "made"), (CLAIMED, "claimed"), (IMBALANCE, "imbalance")):
            self._board.set(metric, stats[name])
        self._board.merge("buffer", stats["counts"])

    async def stop(self) -> None:
        """End every actor that this supervisor started."""
        self._end_roles()
        for engine_id, (_spec, handle) in self._engines.items():
            try:
                await asyncio.wait_for(_call(handle.shutdown), END_SECONDS)
            except (RayError, TimeoutError):
                self._restarts.note(f"engine {engine_id} did not end by itself")
            self._placement.kill(handle)

    def _end_roles(self) -> None:
        for _kind, handle, run in self._runs.values():
            run.cancel()
            self._placement.kill(handle)
        self._runs.clear()


def _died(fault: BaseException) -> bool:
    return isinstance(fault, RayActorError | RayTaskError) and engine_died(fault)


async def _finished(handle: Any) -> None:
    await handle.run.remote()


async def _call(method: Any) -> None:
    await method.remote()
