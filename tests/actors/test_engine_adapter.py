"""Adapter transport on a real engine: one LoRA adapter a version, two of them alive at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import torch

from actors.engine import Engine
from common.records import Sampled
from common.weights import Canary
from learner.export import save_adapter
from learner.policy import Policy, adapter_weights, load_policy, sequence_logps
from tests.actors.engine_cases import BOUND, MESSAGES, engine_spec, mean_difference, vllm_environment

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

SPEC = engine_spec("adapter", lora_rank=8)


@pytest.fixture(scope="module")
async def engine(tiny_model: Path) -> AsyncIterator[Engine]:
    with vllm_environment(SPEC):
        engine = Engine(SPEC, SPEC.pools[0], "e0")
        await engine.load(tiny_model)
        yield engine
        await engine.shutdown()


def adapted_policy(folder: Path, seed: int) -> Policy:
    """LoRA's zero half drawn at random, large enough to move every log-prob."""
    policy = load_policy(folder, SPEC.learner, "cpu", seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in policy.module.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    return policy


def versions(sampled: Sampled) -> set[int]:
    return {version for completion in sampled.completions for version in completion.versions}


async def test_new_sequences_use_the_newest_adapter_while_running_ones_keep_theirs(
    engine: Engine, tiny_model: Path, tmp_path: Path
) -> None:
    base = load_policy(tiny_model, SPEC.learner, "cpu", seed=0)  # an adapter of zeros: the model itself
    policies = {version: adapted_policy(tiny_model, version) for version in (1, 2)}
    for version, policy in policies.items():
        save_adapter(policy, adapter_weights(policy), tmp_path / f"v{version}")
    started = await engine.generate(MESSAGES, 1, 24, 1.0)
    assert versions(started) == {0} and mean_difference(base, started, 0) < BOUND.floor

    await engine.load_adapter(1, str(tmp_path / "v1"), "first")
    running = asyncio.create_task(engine.generate(MESSAGES, 2, 160, 1.0))
    await asyncio.sleep(0.3)
    await engine.load_adapter(2, str(tmp_path / "v2"), "second")
    assert not running.done()
    newer = await engine.generate(MESSAGES, 2, 24, 1.0)
    assert not running.done()  # both versions decode at once
    older = await running
    assert versions(older) == {1} and versions(newer) == {2}
    assert mean_difference(policies[1], older, 1) < BOUND.floor
    assert mean_difference(policies[2], newer, 2) < BOUND.floor
    assert mean_difference(policies[1], newer, 2) > 0.1


async def test_the_canary_proves_the_adapter_that_new_sequences_use(engine: Engine, tiny_model: Path) -> None:
    ids = (await engine.tokenize(MESSAGES))[:64]
    report = await engine.prove(ids)
    assert (report.version, report.checksum, report.pause_seconds) == (2, "second", 0.0)
    gaps = {
        seed: Canary(token_ids=ids, logps=tuple(sequence_logps(adapted_policy(tiny_model, seed).module, ids))).gap(
            report.canary_logps
        )
        for seed in (1, 2)
    }
    assert gaps[2] < BOUND.floor < 10 * BOUND.ceiling < gaps[1]
