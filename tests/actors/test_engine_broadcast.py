"""The broadcast transport with vLLM's own workers: an engine of one beside an engine of tensor_parallel 2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import torch

from actors.engine import Engine
from common.config import PoolSpec
from common.weights import Canary
from learner.broadcast import BroadcastSender, Link
from learner.policy import merged_weights, sequence_logps
from tests.actors.engine_cases import BOUND, MESSAGES, engine_spec, moved_policy, vllm_environment
from tests.actors.engine_handles import Handle

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

SPEC = engine_spec("broadcast")
LINK = Link(backend="gloo", device="cpu", host="127.0.0.1", timeout=120, bucket_seconds=20, bucket_bytes=2**18)
WORKERS = {"e0": 1, "e1": 2}


@pytest.fixture(scope="module")
async def engines(tiny_model: Path) -> AsyncIterator[dict[str, Engine]]:
    with vllm_environment(SPEC):
        made = {}
        for name, workers in WORKERS.items():
            pool = PoolSpec(kv_cache_gib=0.25, max_num_seqs=16, tensor_parallel=workers)
            made[name] = Engine(SPEC, pool, name)
            await made[name].load(tiny_model)
        yield made
        for engine in made.values():
            await engine.shutdown()


async def test_workers_hold_every_version_and_a_core_killed_in_a_sync_fails_alone(
    engines: dict[str, Engine], tiny_model: Path
) -> None:
    loop = asyncio.get_running_loop()
    handles: dict[str, Any] = {name: Handle(engine, loop) for name, engine in engines.items()}
    policy = moved_policy(tiny_model, SPEC, seed=3)
    sender = BroadcastSender(0, lambda: merged_weights(policy, torch.float32), LINK)
    ids = (await engines["e0"].tokenize(MESSAGES))[:96]

    async def publish(version: int) -> dict[str, str]:
        await asyncio.gather(*(engine.pause() for engine in engines.values()))
        failures = await asyncio.to_thread(sender.send, version, handles)
        await asyncio.gather(*(engine.resume(version) for name, engine in engines.items() if name not in failures))
        return failures

    async def proved(name: str, version: int) -> None:
        report = await engines[name].prove(ids)
        assert (report.version, report.checksum) == (version, sender.checksum())
        canary = Canary(token_ids=ids, logps=tuple(sequence_logps(policy.module, ids)))
        assert canary.gap(report.canary_logps) < BOUND.floor, name

    for version in (1, 2):
        assert await publish(version) == {}
        assert len(sender.packed.buckets) > 2
        for name in engines:
            await proved(name, version)
        policy = moved_policy(tiny_model, SPEC, seed=3 + version)
        await engines["e1"].start_weight_update()  # begun and never finished, as when another engine ended the attempt

    sender.stage(3)
    sender.packed.buffer(1, "cpu")[777] ^= 1  # `.to` copies nothing on a CPU
    failures = await publish(3)
    assert failures.keys() == set(engines) and all("arrived damaged" in line for line in failures.values()), failures
    policy = moved_policy(tiny_model, SPEC, seed=9)

    handles["e0"].kills = True
    failures = await publish(4)
    assert list(failures) == ["e0"] and failures["e0"].startswith("update_weights: "), failures
    await proved("e1", 4)
    sender.close()
