"""A fake world around the channel, for its tests."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from ray.exceptions import ActorDiedError

from actors.engine_pool import EnginePool
from common.config import WeightsSpec
from common.records import Completion, Record, Sampled
from common.weights import Probe, SyncReport
from learner.bounds import BOUNDS
from learner.channel import Channel
from simulator.fakes import Handle

CANARY = (1, 2, 3, 4)
PROBE = Probe(canary_ids=CANARY, prompt_ids=(1, 2), completions=2, max_tokens=3, temperature=1.0)
POLICY = 0.25
"""What a policy's log-probs differ by from one version to the next."""


class Sent(Record):
    checksum: str
    failures: dict[str, str]


class FakeEngine:
    """An engine that obeys, except where a fault is set."""

    def __init__(self, name: str, log: list[str], noise: float = 0.0) -> None:
        self.name, self.log, self.noise = name, log, noise
        self.version, self.checksum, self.weights = 0, "", 0
        self.hangs = self.dies = ""  # the name of a phase
        self._never = asyncio.Event()
        self.deaf = False  # resumes, but its weights stay the old ones
        self.stuck_version = self.wrong_checksum = self.transfer_fails = False
        self.nan = False
        self.tries = 0

    async def _phase(self, name: str) -> None:
        self.log.append(f"{name} {self.name}")
        if self.hangs == name:
            await self._never.wait()
        if self.dies == name:
            raise ActorDiedError()

    async def pause(self) -> None:
        await self._phase("pause")

    async def resume(self, version: int) -> None:
        await self._phase("resume")
        if not self.stuck_version:
            self.version = version

    async def prove(self, canary_ids: tuple[int, ...]) -> SyncReport:
        await self._phase("prove")
        logp = math.nan if self.nan else -1.0 - POLICY * self.weights + self.noise
        return SyncReport(
            engine=self.name,
            version=self.version,
            checksum="00000000" if self.wrong_checksum else self.checksum,
            canary_logps=(logp,) * (len(canary_ids) - 1),
            pause_seconds=0.5,
        )

    async def sample(self, prompt_ids: tuple[int, ...], n: int, max_tokens: int, temperature: float) -> Sampled:
        await self._phase("sample")
        completion = Completion(
            text="",
            token_ids=(7,) * max_tokens,
            logps=(-temperature,) * max_tokens,
            versions=(self.version,) * max_tokens,
            finish_reason="length",
            engine=self.name,
        )
        return Sampled(prompt_ids=prompt_ids, completions=(completion,) * n)


class FakeRank:
    def __init__(self, log: list[str]) -> None:
        self.log, self.canaries = log, 0
        self.version = 0

    def stage(self, version: int) -> None:
        self.log.append(f"stage {version}")

    def send(self, version: int, engines: dict[str, Handle]) -> Sent:
        self.log.append(f"send {version} to {' '.join(sorted(engines))}".strip())
        self.version = version
        failures = {}
        for name, handle in engines.items():
            engine: FakeEngine = handle.actor
            engine.tries += 1
            if engine.transfer_fails:
                failures[name] = "update_weights: tensor model.norm.weight arrived damaged"
            elif not engine.deaf:
                engine.checksum, engine.weights = f"sum-{version}", version
            else:
                engine.checksum = f"sum-{version}"
        return Sent(checksum=f"sum-{version}", failures=failures)

    def canary(self, token_ids: tuple[int, ...]) -> tuple[float, ...]:
        self.canaries += 1
        return (-1.0 - POLICY * self.version,) * (len(token_ids) - 1)


class World:
    def __init__(
        self,
        *,
        ranks: int = 1,
        dtype: str = "bfloat16",
        version: int = 0,
        loaded_gap: float | None = None,
        **spec: Any,
    ) -> None:
        self.log: list[str] = []
        self.pool = EnginePool("engines")
        self.pool_handle = Handle(self.pool)
        self.ranks = [FakeRank(self.log) for _ in range(ranks)]
        settings = WeightsSpec(**{"timeout_seconds": 0.05, **spec})
        handles = [Handle(rank) for rank in self.ranks]
        self.channel = Channel(settings, handles, [self.pool_handle], PROBE, BOUNDS[dtype], loaded_gap, version)

    async def add(self, name: str, **fault: Any) -> FakeEngine:
        engine = FakeEngine(name, self.log, fault.pop("noise", 0.0))
        outcome = await self.channel.join(self.pool_handle, name, Handle(engine))
        assert outcome.ok, outcome
        for field, value in fault.items():
            setattr(engine, field, value)
        return engine

    async def serving(self) -> set[str]:
        return set(await self.pool.engines())
