"""A whole run in one process: the real Run, supervisor, channel, learner loop, buffer, pool and roles over fake engines
and a fake learner rank, any of which can be killed at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import heartbeats, supervisor
from actors.doctor import Doctor
from actors.engine_errors import EngineDied
from actors.engine_pool import EnginePool
from actors.journal import replay
from actors.replay_buffer import ReplayBuffer
from actors.restarts import RestartBudget
from actors.scribe import Scribe
from common.config import PoolSpec, RunSpec
from common.metrics import ACTOR_RESTARTS, ACTORS, ENGINE_RESTARTS, Board
from common.records import Completion, Group, Message, Sampled
from common.weights import Probe, SyncReport
from deploy.job import run as run_module
from deploy.job import stop_requests
from deploy.job.resize import ResizeRequest
from deploy.job.run import Run
from deploy.job.run_folder import RunFolder, write_whole
from deploy.job.start import Start
from envs.contract.env import Environment
from learner.preparation import Prepared, Progress
from learner.rank_actor import Sent
from learner.step_report import StepReport
from simulator.fakes import Handle, remote_error
from tests.actors.fake_env import FakeEnv
from tests.learner.learner_world import report_of

HANG_SECONDS = 300  # far more than any of these runs takes, beside whatever else the machine does
PROBE = Probe(canary_ids=(1, 2), prompt_ids=(1,), completions=1, max_tokens=1, temperature=1.0)

KINDS = ("scribe", "doctor", "engine", "core", "buffer", "rank", "pool")
"""Of what can be killed (`World.kill`)."""


class FakeEngine:
    def __init__(self, name: str) -> None:
        self.name, self.version, self.checksum, self.core_died = name, 0, "", False

    async def __ray_ready__(self) -> bool:
        return True

    async def load(self, model_folder: Path) -> None:
        await asyncio.sleep(0)

    async def _core(self) -> None:
        await asyncio.sleep(0)
        if self.core_died:
            raise remote_error(EngineDied("EngineCore encountered an issue"))

    async def check_health(self) -> float:
        await self._core()
        return 0.5

    async def sample(self, prompt_ids: tuple[int, ...], n: int, *_: Any) -> Sampled:
        await self._core()
        one = Completion(
            text="reply",
            token_ids=(1,),
            logps=(-1.0,),
            versions=(self.version,),
            finish_reason="stop",
            engine=self.name,
        )
        return Sampled(prompt_ids=prompt_ids, completions=(one,) * n)

    async def generate(self, messages: tuple[Message, ...], n: int, *_: Any) -> Sampled:
        return await self.sample((1,), n)

    async def pause(self) -> None:
        await self._core()

    async def resume(self, version: int) -> None:
        await self._core()
        self.version = version

    async def prove(self, canary_ids: tuple[int, ...]) -> SyncReport:
        await self._core()
        return SyncReport(
            engine=self.name, version=self.version, checksum=self.checksum, canary_logps=(-1.0,), pause_seconds=0.0
        )

    async def kill_core(self) -> None:
        self.core_died = True

    async def shutdown(self) -> None:
        return


class FakeRank:
    def __init__(self) -> None:
        self.version, self.groups = 0, tuple[Group, ...]()
        self._turn = asyncio.Lock()  # as an actor without `async` methods, it answers in order

    async def __ray_ready__(self) -> bool:
        await asyncio.sleep(0)
        return True

    async def load(self, folder: Path) -> None:
        async with self._turn:
            await self.read(folder)

    async def read(self, folder: Path) -> None:
        self.version = int((folder / "weights").read_text())

    async def save(self, folder: Path) -> None:
        await asyncio.sleep(0)
        (folder / "weights").write_text(str(self.version))

    async def accumulate(self, *groups: Group) -> None:
        await asyncio.sleep(0)
        self.groups = groups

    async def apply(self) -> StepReport:
        await asyncio.sleep(0)
        self.version += 1
        return report_of(self.version, len(self.groups))

    async def logp_difference(self, samples: tuple[Sampled, ...]) -> float:
        return 0.0

    async def stage(self, version: int) -> None:
        async with self._turn:
            await asyncio.sleep(0)
            assert version == self.version, "the weights are of another version than their name"

    async def send(self, version: int, engines: dict[str, Handle]) -> Sent:
        for handle in engines.values():
            handle.actor.checksum = f"sum-{version}"
        return Sent(checksum=f"sum-{version}", failures={})

    async def canary(self, ids: tuple[int, ...]) -> tuple[float, ...]:
        await asyncio.sleep(0)
        return (-1.0,)

    async def save_model(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)

    async def close(self) -> None:
        return


class FakePreparation:
    def progress(self) -> Progress:
        return Progress(phase="warming up")

    def run(self) -> Prepared:
        return Prepared(model_folder=Path("model"), verifier_folder=Path("model"), probe=PROBE, warm_up="skipped")


class FakePlacement:
    """Hands out fakes; `alive` has the newest handle of each kind."""

    def __init__(self, spec: RunSpec, env: Environment, note: Callable[[str], None]) -> None:
        self.spec, self.env, self.note = spec, env, note
        self.model_folder = self.verifier_folder = self.journal = Path()
        self.buffer: Any = None
        self.verifier: Any = None
        self.pools: dict[str, Any] = {}
        self.frozen_pools: list[Any] = []
        self.alive: dict[str, Handle] = {}

    def _new(self, kind: str, actor: Any) -> Handle:
        self.alive[kind] = Handle(actor)
        return self.alive[kind]

    def early_engines(self) -> None:
        return

    def preparation(self) -> Handle:
        return Handle(FakePreparation())

    def replay_buffer(self, trained_steps: int | None) -> Handle:
        if self.buffer is not None:
            self.buffer.actor._tasks.close()
        spec = self.spec
        buffer = ReplayBuffer(spec.buffer, spec.learner.batch_groups, spec.filters, self.journal, trained_steps)
        self.buffer = self._new("buffer", buffer)
        return self.buffer

    def fetched(self, references: Sequence[Group]) -> list[Group]:
        return list(references)

    def engine_pools(self) -> dict[str, Handle]:
        self.pools = {"engines": self._new("pool", EnginePool("engines"))}
        return self.pools

    @property
    def synced_pools(self) -> list[Handle]:
        return list(self.pools.values())

    def learner_ranks(self) -> list[Handle]:
        return [self._new("rank", FakeRank())]

    def folder(self, pool: PoolSpec) -> Path:
        return self.model_folder

    def engine(self, pool: PoolSpec, engine_id: str) -> Handle:
        return self._new("engine", FakeEngine(engine_id))

    def machine(self, engine: Handle) -> str:
        return "here"

    def role(self, kind: str, name: str) -> Handle:
        pool, rollout = self.pools["engines"], self.spec.rollout
        if kind == "scribe":
            return self._new(kind, Scribe(name, self.env, self.buffer, pool, rollout.concurrency))
        return self._new(kind, Doctor(name, self.env, self.buffer, pool, self.spec.sampling, rollout.concurrency))

    def kill(self, handle: Handle | None) -> None:
        if handle is not None:
            handle.kill()


@contextmanager
def faked() -> Iterator[None]:
    """Fake actors, and no pauses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "Placement", FakePlacement)
        patch.setattr(run_module, "RestartBudget", lambda note: RestartBudget(note, first_pause_seconds=0))
        patch.setattr(supervisor, "HEARTBEAT_SECONDS", 0)
        patch.setattr(heartbeats, "ROUND_SECONDS", 0.05)
        patch.setattr(stop_requests, "STOP_POLL_SECONDS", 0.01)
        yield


async def turns(count: int) -> None:
    """So many turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


async def play(world: World, monkey: Callable[[], Coroutine[Any, Any, None]] | None = None) -> bool:
    """The run, with `monkey` beside it."""
    running = asyncio.ensure_future(world.run.go())
    beside = asyncio.ensure_future(monkey()) if monkey else None
    try:
        return await asyncio.wait_for(running, HANG_SECONDS)
    finally:
        if beside is not None:
            beside.cancel()


class World:
    """A run of some steps in `runs`, and what it left."""

    def __init__(self, runs: Path, steps: int = 8, env: Environment | None = None, start: Start | None = None) -> None:
        settings = {
            "steps": steps,
            "model": {"dtype": "float32"},
            "sampling": {"group_size": 2},
            "rollout": {"concurrency": 2},
            "buffer": {"capacity": 8},
            "learner": {"batch_groups": 2, "checkpoint_every": 3},
        }
        self.spec = RunSpec.model_validate({"name": "run", "runs": runs, **settings})
        self.folder, self.board = RunFolder(self.spec, runs / "run"), Board()
        self.env = env or FakeEnv()
        self.run = Run(self.spec, self.env, self.folder, start or Start(), self.board)
        placement: Any = self.run._placement
        self.placement: FakePlacement = placement

    def kill(self, kind: str) -> bool:
        """Whether there was one to kill."""
        handle = self.placement.alive.get("engine" if kind == "core" else kind)
        if handle is None or handle.dead.is_set():
            return False
        if kind == "core":
            handle.actor.core_died = True
        else:
            handle.kill()
        return True

    def ask(self, **sizes: int) -> None:
        """As deploy.apply does, for `scribes`, `doctors` and `engines`."""
        fields = {"engines": "pools.engines.engines", "scribes": "rollout.scribes", "doctors": "rollout.doctors"}
        file = self.spec.model_dump(mode="json")
        asked = ResizeRequest(id="", sizes={fields[name]: count for name, count in sizes.items()}, file=file)
        write_whole(self.folder.change, msgspec.json.encode(asked))

    def serving(self) -> dict[str, float | None]:
        """How many of each kind, as the board shows them."""
        values = self.board.registry.get_sample_value
        return {f"{kind}s": values(ACTORS.name, {"actor": kind}) for kind in ("scribe", "doctor", "engine")}

    def restarts(self, kind: str) -> float:
        if kind in ("engine", "core"):
            return self.board.total(ENGINE_RESTARTS)
        return self.board.total(ACTOR_RESTARTS, {"rank": "learner"}.get(kind, kind))

    def check_accounts(self, steps: int | None = None) -> None:
        """Every step once and in order (all of them if not told), every task in one state, none trained twice."""
        steps = steps or self.spec.steps
        assert [row["step"] for row in self.folder.rows] == list(range(1, steps + 1))
        found = replay(self.folder.journal, steps)
        states = [*found.ready, *found.unclaimed, *found.trained, *found.rejected]
        assert sorted(states) == list(range(found.next_index))
        assert sorted(found.trained.values()) == [step for step in range(1, steps + 1) for _ in range(2)]
