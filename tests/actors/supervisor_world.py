"""A supervisor over fake actors on a fake placement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.engine_pool import EnginePool
from actors.supervisor import Supervisor
from common.config import DataSpec, PoolSpec, RolloutSpec, RunSpec
from common.metrics import BUFFER_STATES, NOTES, Board
from common.weights import SyncOutcome
from tests.fakes import Handle, settle


class FakeEngine:
    def __init__(self, segment: Path, error: Exception | None) -> None:
        self._segment, self._error = segment, error

    async def load(self, version: int) -> None:
        assert version == 0
        self._segment.touch()
        if self._error:
            raise self._error

    async def shared_memory(self) -> tuple[str, ...]:
        return (str(self._segment),)

    async def shutdown(self) -> None:
        self._segment.unlink(missing_ok=True)


class FakeRole:
    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.busy = False
        self.notes = 0

    async def run(self) -> None:
        await self.ended

    async def state(self) -> tuple[bool, dict[tuple[str, str], float]]:
        return self.busy, {(NOTES.name, "augmented_error"): self.notes}


class FakeBuffer:
    def __init__(self) -> None:
        self.returned: list[tuple[str, str]] = []

    def return_leases(self, name: str) -> None:
        self.returned.append(("leases", name))

    def return_claims(self, name: str) -> None:
        self.returned.append(("claims", name))

    def stats(self) -> dict[str, Any]:
        return {**dict.fromkeys(BUFFER_STATES, 1), "made": 6, "claimed": 2, "imbalance": 0, "counts": {}}


class FakePlacement:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engines: dict[str, Handle] = {}
        self.roles: dict[str, Handle] = {}
        self.killed: list[Handle] = []
        self.load_error: Callable[[str], Exception | None] = lambda engine_id: None

    def engine(self, pool: PoolSpec, engine_id: str) -> Handle:
        self.engines[engine_id] = Handle(FakeEngine(self.folder / engine_id, self.load_error(engine_id)))
        return self.engines[engine_id]

    def role(self, kind: str, name: str) -> Handle:
        self.roles[name] = Handle(FakeRole())
        return self.roles[name]

    def kill(self, handle: Handle) -> None:
        handle.kill()
        self.killed.append(handle)


class World:
    """A supervisor over fakes; `faults` makes the join of an engine fail."""

    def __init__(self, folder: Path, engines: int = 2, doctors: int = 1) -> None:
        spec = RunSpec(pools=(PoolSpec(engines=engines),), rollout=RolloutSpec(doctors=doctors))
        self.placement, self.buffer, self.board = FakePlacement(folder), FakeBuffer(), Board()
        self.pool = EnginePool("engines")
        self.faults: dict[str, str] = {}
        self.notes: list[str] = []
        self.supervisor = Supervisor(
            spec,
            self.placement,
            {"engines": Handle(self.pool)},
            Handle(self.buffer),
            self.join,
            self.board,
            self.notes.append,
        )

    async def join(self, pool: Any, engine: str, handle: Any, version: int) -> SyncOutcome:
        failures = {engine: self.faults[engine]} if engine in self.faults else {}
        if not failures:
            await pool.admit.remote(engine, handle)
        return SyncOutcome(version=0, seconds=0, pause_seconds=0, canary_gap=0, proved=("e",), failures=failures)

    async def start(self) -> World:
        await self.supervisor.start(lambda _: None)
        await settle()
        return self

    async def serving(self) -> set[str]:
        return set(await self.pool.engines())

    async def lose(self, engine_id: str) -> None:
        self.placement.engines[engine_id].kill()
        await self.pool.quarantine(engine_id)

    def sample(self, metric: str, **labels: str) -> float | None:
        return self.board.registry.get_sample_value(metric, labels)


class FrozenWorld(World):
    """Two pools: one follows the policy, the other is the verifier's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, engines=1)
        self.frozen, self.joined = EnginePool("frozen"), list[str]()
        pools = (PoolSpec(), PoolSpec(name="frozen", serves=("verifier",)))
        spec = RunSpec(pools=pools, data=DataSpec(tier_c=True))
        routers = {"engines": Handle(self.pool), "frozen": Handle(self.frozen)}
        self.supervisor = Supervisor(
            spec, self.placement, routers, Handle(self.buffer), self.join, self.board, self.notes.append
        )

    async def join(self, pool: Any, engine: str, handle: Any, version: int) -> SyncOutcome:
        self.joined.append(engine)
        return await super().join(pool, engine, handle, version)
