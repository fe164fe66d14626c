"""A supervisor over fake actors on a fake placement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.engine_errors import EngineDied
from actors.engine_pool import EnginePool
from actors.restarts import RestartBudget
from actors.supervisor import Examine, Supervisor
from common.config import PoolSpec, RolloutSpec, RunSpec
from common.metrics import BUFFER_STATES, TASKS, Board, Counts
from common.records import Sampled
from common.weights import SyncOutcome
from envs.verdict.spec import DataSpec, VerdictSettings
from simulator.fakes import Handle, remote_error, settle

MODEL = Path("model")


class FakeEngine:
    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.hangs = self.core_died = self.core_killed = self.ended = self.loading = False
        self.unanswered = 0  # heartbeats
        self.kv_use = 0.0
        self.may_start, self.may_load, self.may_answer = asyncio.Event(), asyncio.Event(), asyncio.Event()
        for event in (self.may_start, self.may_load, self.may_answer):
            event.set()

    async def __ray_ready__(self) -> bool:
        return await self.may_start.wait()

    async def load(self, model_folder: Path) -> None:
        assert model_folder == MODEL
        self.loading = True
        await self.may_load.wait()
        if self._error:
            raise self._error

    async def check_health(self) -> float:
        if self.hangs:
            self.unanswered += 1
            await asyncio.Event().wait()
        if self.core_died:
            raise remote_error(EngineDied("EngineCore encountered an issue"))
        return self.kv_use

    async def generate(self, *_: Any) -> Sampled:
        await self.may_answer.wait()
        return Sampled(prompt_ids=(), completions=())

    async def kill_core(self) -> None:
        self.core_killed = True

    async def shutdown(self) -> None:
        self.ended = True


class FakeRole:
    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.busy = self.hangs = False
        self.made = self.unanswered = 0

    async def run(self) -> None:
        await self.ended

    async def state(self) -> tuple[bool, dict[tuple[str, str], float]]:
        if self.hangs:
            self.unanswered += 1
            await asyncio.Event().wait()
        return self.busy, {(TASKS.name, ("game", "kind")): self.made}


class FakeBuffer:
    def __init__(self, trained_steps: int = 0) -> None:
        self.trained_steps = trained_steps
        self.returned: list[tuple[str, str]] = []
        self.retired: list[tuple[str, str]] = []
        self.counts: Counts = {}
        self.warnings: dict[str, str] = {}
        self.in_a_row: dict[tuple[str, str], int] = {}
        self.hangs, self.unanswered = False, 0

    def retire(self, role: str, name: str) -> None:
        self.retired.append((role, name))

    def return_leases(self, name: str) -> None:
        self.returned.append(("leases", name))

    def return_claims(self, name: str) -> None:
        self.returned.append(("claims", name))

    async def stats(self) -> dict[str, Any]:
        if self.hangs:
            self.unanswered += 1
            await asyncio.Event().wait()
        states = dict.fromkeys(BUFFER_STATES, 1)
        return {
            **states,
            "made": 6,
            "claimed": 2,
            "imbalance": 0,
            "counts": self.counts,
            "warnings": self.warnings,
            "in_a_row": self.in_a_row,
        }


class FakeRank:
    async def __ray_ready__(self) -> bool:
        await asyncio.Event().wait()  # it trains, as far as anyone can tell
        return True


class FakePlacement:
    def __init__(self) -> None:
        self.model_folder = MODEL
        self.engines: dict[str, Handle] = {}
        self.roles: dict[str, Handle] = {}
        self.buffers: list[Handle] = []
        self.killed: list[Handle] = []
        self.machines: dict[str, str] = {}  # of engines that are elsewhere
        self.load_error: Callable[[str], Exception | None] = lambda engine_id: None
        self.prepare: Callable[[FakeEngine], None] = lambda engine: None

    def folder(self, pool: PoolSpec) -> Path:
        return self.model_folder

    def engine(self, pool: PoolSpec, engine_id: str) -> Handle:
        engine = FakeEngine(self.load_error(engine_id))
        self.prepare(engine)
        self.engines[engine_id] = Handle(engine)
        return self.engines[engine_id]

    def role(self, kind: str, name: str) -> Handle:
        self.roles[name] = Handle(FakeRole())
        return self.roles[name]

    def replay_buffer(self, trained_steps: int | None) -> Handle:
        self.buffers.append(Handle(FakeBuffer(trained_steps or 0)))
        return self.buffers[-1]

    def machine(self, engine: Handle) -> str:
        return next(self.machines.get(name, "here") for name, one in self.engines.items() if one is engine)

    def kill(self, handle: Handle) -> None:
        handle.kill()
        self.killed.append(handle)


class World:
    """A supervisor over fakes; `faults` makes the join of an engine fail."""

    def __init__(self, engines: int = 2, doctors: int = 1, board: Board | None = None) -> None:
        rollout = RolloutSpec(doctors=doctors, silence_seconds=0.2)
        self.spec = spec = RunSpec(pools=(PoolSpec(engines=engines),), rollout=rollout)
        self.placement, self.board = FakePlacement(), board or Board()
        self.buffer_handle = self.placement.replay_buffer(None)
        self.buffer: FakeBuffer = self.buffer_handle.actor
        self.pool = EnginePool("engines")
        self.pool_handle, self.rank = Handle(self.pool), Handle(FakeRank())
        self.faults: dict[str, str] = {}
        self.notes: list[str] = []
        self.restarts = RestartBudget(self.notes.append, first_pause_seconds=0)
        self.supervisor = Supervisor(
            spec,
            self.placement,
            {"engines": self.pool_handle},
            lambda _: self,
            self.board,
            self.restarts,
            [self.rank],
        )

    async def join(self, pool: Any, engine: str, handle: Any, loaded_version: int = 0) -> SyncOutcome:
        failures = {engine: self.faults[engine]} if engine in self.faults else {}
        if not failures:
            await pool.admit.remote(engine, handle)
        return SyncOutcome(version=0, seconds=0, pause_seconds=0, canary_gap=0, proved=("e",), failures=failures)

    async def start(self, examine: Examine | None = None) -> World:
        await self.supervisor.start_engines()
        await self.supervisor.start(self.buffer_handle, examine)
        await settle()
        return self

    def resize(self, **sizes: int) -> None:
        """Have `scribes`, `doctors`, or `engines` in each pool."""
        rollout = {name: count for name, count in sizes.items() if name != "engines"}
        engines = {"engines": sizes["engines"]} if "engines" in sizes else {}
        self.spec = self.spec.model_copy(
            update={
                "pools": tuple(pool.model_copy(update=engines) for pool in self.spec.pools),
                "rollout": self.spec.rollout.model_copy(update=rollout),
            }
        )
        self.supervisor.resize(self.spec)

    def actors(self, kind: str) -> tuple[float | None, float | None]:
        """Serving and wanted, as the board shows them."""
        return self.sample("medserl_actors", actor=kind), self.sample("medserl_actors_wanted", actor=kind)

    async def leave(self, pool: Any, engine: str) -> None:
        await pool.quarantine.remote(engine)

    async def beat(self) -> None:
        """A heartbeat, and what it began."""
        await self.supervisor.beat()
        await settle()

    async def serving(self) -> set[str]:
        return set(await self.pool.engines())

    async def lose(self, engine_id: str) -> None:
        self.placement.engines[engine_id].kill()
        await self.pool.quarantine(engine_id)

    def sample(self, metric: str, **labels: str) -> float | None:
        return self.board.registry.get_sample_value(metric, labels)


class FrozenWorld(World):
    """Two pools: one follows the policy, the other is the verifier's."""

    def __init__(self) -> None:
        super().__init__(engines=1)
        self.frozen, self.joined = EnginePool("frozen"), list[str]()
        pools = (PoolSpec(), PoolSpec(name="frozen", serves=("verifier",)))
        self.spec = spec = RunSpec(pools=pools, envs=(VerdictSettings(data=DataSpec(tier_c=True)),))
        routers = {"engines": Handle(self.pool), "frozen": Handle(self.frozen)}
        self.supervisor = Supervisor(spec, self.placement, routers, lambda _: self, self.board, self.restarts)

    async def join(self, pool: Any, engine: str, handle: Any, loaded_version: int = 0) -> SyncOutcome:
        self.joined.append(engine)
        return await super().join(pool, engine, handle, loaded_version)
