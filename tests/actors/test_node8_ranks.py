"""The ranks of deploy/specs/node8.yaml with vLLM's own workers: the learner's channel publishes over gloo to its four
engines, then to two engines of tensor_parallel 2 on as many GPUs. The model is the tiny one, the KV caches are the
smallest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from actors.engine import Engine
from actors.engine_pool import EnginePool
from common.config import PoolSpec
from common.weights import Probe
from deploy import cli
from learner.broadcast import BroadcastSender, Link
from learner.channel import Channel
from learner.policy import merged_weights, sequence_logps
from learner.rank_actor import Sent
from tests.actors import engine_cases
from tests.actors.engine_cases import BOUND, MESSAGES, engine_spec, moved_policy, vllm_environment
from tests.actors.engine_handles import Handle, cores

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

SPEC = engine_spec("broadcast")
LINK = Link(backend="gloo", device="cpu", host="127.0.0.1", timeout=120, bucket_seconds=20, bucket_bytes=2**18)
SMALL = {"kv_cache_gib": 0.1, "max_num_seqs": 4}
NODE8 = tuple(pool for pool in cli.load(Path("deploy/specs/node8.yaml")).pools for _ in range(pool.engines))
LAYOUTS = {
    "the four engines of node8": [pool.model_copy(update=SMALL) for pool in NODE8],
    "two engines of tensor_parallel 2": [PoolSpec(tensor_parallel=2, **SMALL) for _ in range(2)],
}
VERSIONS = (1, 2, 3)


class PlacedEngine(Engine):
    """The production engine; its workers tell their places."""

    def _arguments(self, folder: Path) -> Any:
        arguments = super()._arguments(folder)
        arguments.worker_extension_cls = "tests.actors.placed_worker.PlacedWorker"
        return arguments

    async def places(self) -> list[tuple[int, int, str]]:
        """Of each worker: rank, world, checksum."""
        return [tuple(place) for place in await self._llm.collective_rpc("place")]


class Rank0:
    """Rank 0 of the learner as the channel calls it: its sender in a thread, as in an actor of its own."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self.sender = BroadcastSender(0, lambda: merged_weights(self.policy, torch.float32), LINK)
        self.learn(0)

    def learn(self, version: int) -> None:
        """Hold other weights."""
        self.policy = moved_policy(self._model, SPEC, seed=version)

    async def stage(self, version: int) -> None:
        await asyncio.to_thread(self.sender.stage, version)

    async def send(self, version: int, engines: Any) -> Sent:
        failures = await asyncio.to_thread(self.sender.send, version, engines)
        return Sent(checksum=self.sender.checksum(), failures=failures)

    async def canary(self, ids: Sequence[int]) -> tuple[float, ...]:
        return tuple(sequence_logps(self.policy.module, tuple(ids)))


@asynccontextmanager
async def engines_of(pools: Sequence[PoolSpec], model: Path) -> AsyncIterator[dict[str, PlacedEngine]]:
    made: dict[str, PlacedEngine] = {}
    try:
        for number, pool in enumerate(pools):
            with vllm_environment(SPEC):
                made[f"e{number}"] = PlacedEngine(SPEC, pool, f"e{number}")
                await made[f"e{number}"].load(model)
        yield made
    finally:
        for engine in made.values():
            for core in cores(engine):
                core.kill()  # vLLM itself waits five seconds for each
            await engine.shutdown()


async def channel_to(engines: dict[str, PlacedEngine], rank: Rank0) -> Channel:
    loop, pool = asyncio.get_running_loop(), EnginePool("engines")
    for name, engine in engines.items():
        await pool.admit(name, Handle(engine, loop))
    ids = (await engines["e0"].tokenize(MESSAGES))[:96]
    probe = Probe(canary_ids=ids, prompt_ids=ids, completions=1, max_tokens=4, temperature=1.0)
    handles = engine_cases.Handle(rank), engine_cases.Handle(pool)
    return Channel(SPEC.weights, handles[:1], handles[1:], probe, BOUND, loaded_gap=0.0)


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_all_workers_hold_every_version_that_the_channel_publishes(layout: str, tiny_model: Path) -> None:
    pools, rank, sent = LAYOUTS[layout], Rank0(tiny_model), set[str]()
    async with engines_of(pools, tiny_model) as engines:
        channel = await channel_to(engines, rank)
        for version in VERSIONS:
            rank.learn(version)
            outcome = await channel.publish(version)
            assert outcome.failures == {} and set(outcome.proved) == set(engines) and outcome.version == version
            checksum = rank.sender.checksum()
            sent.add(checksum)
            assert len(rank.sender.packed.buckets) > 2
            told = [place for engine in engines.values() for place in await engine.places()]
            assert told == [(number, 5, checksum) for number in (1, 2, 3, 4)], told
            reports = [await engine.prove(channel._probe.canary_ids) for engine in engines.values()]
            assert [(one.version, one.checksum) for one in reports] == [(version, checksum)] * len(engines)
        assert len(sent) == len(VERSIONS)
    rank.sender.close()
