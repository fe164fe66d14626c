"""Adapter transport on a real engine: one LoRA adapter a version, two of them alive at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from actors.engine import Engine
from actors.engine_errors import EngineDied
from common.records import Sampled
from common.weights import Canary, named_checksum
from learner.export import save_adapter
from learner.policy import Policy, adapter_weights, load_policy, sequence_logps
from tests.actors.engine_cases import BOUND, MESSAGES, engine_spec, mean_difference, vllm_environment
from tests.actors.engine_handles import cores

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


def checksum_of(tensors: dict[str, Tensor]) -> str:
    return named_checksum((name, memoryview(tensor.numpy()).cast("B")) for name, tensor in tensors.items())


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

    await engine.load_adapter(1, str(tmp_path / "v1"))
    running = asyncio.create_task(engine.generate(MESSAGES, 2, 160, 1.0))
    await asyncio.sleep(0.3)
    await engine.load_adapter(2, str(tmp_path / "v2"))
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
    sent = adapter_weights(adapted_policy(tiny_model, 2))
    assert (report.version, report.checksum, report.pause_seconds) == (2, checksum_of(sent), 0.0)
    gaps = {
        seed: Canary(token_ids=ids, logps=tuple(sequence_logps(adapted_policy(tiny_model, seed).module, ids))).gap(
            report.canary_logps
        )
        for seed in (1, 2)
    }
    assert gaps[2] < BOUND.floor < 10 * BOUND.ceiling < gaps[1]


def damaged(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """One bit of one tensor is another."""
    name = next(name for name in tensors if "lora_B" in name)
    other = tensors[name].clone()
    other.view(torch.int32).view(-1)[7] ^= 1
    return {**tensors, name: other}


def incomplete(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without one of the adapted layers."""
    return {name: tensor for name, tensor in tensors.items() if ".layers.3.mlp.down_proj." not in name}


@pytest.mark.parametrize("harm", [damaged, incomplete])
async def test_an_adapter_that_arrives_otherwise_than_it_was_sent_has_another_checksum(
    engine: Engine, tiny_model: Path, tmp_path: Path, harm: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> None:
    policy = adapted_policy(tiny_model, 3)
    sent = adapter_weights(policy)
    save_adapter(policy, harm(sent), tmp_path / "v3")
    ids = (await engine.tokenize(MESSAGES))[:64]
    await engine.load_adapter(3, str(tmp_path / "v3"))
    assert (await engine.prove(ids)).checksum == checksum_of(harm(sent)) != checksum_of(sent)
    save_adapter(policy, sent, tmp_path / "v3")
    await engine.load_adapter(3, str(tmp_path / "v3"))  # the channel's second attempt
    assert (await engine.prove(ids)).checksum == checksum_of(sent)


async def test_an_adapter_whose_names_match_no_layer_is_refused_by_name(
    engine: Engine, tiny_model: Path, tmp_path: Path
) -> None:
    """vLLM itself loads it without a word, because the last parts of the names are those of its layers."""
    policy = adapted_policy(tiny_model, 4)
    elsewhere = {n.replace("model.layers.", "model.other.layers."): t for n, t in adapter_weights(policy).items()}
    save_adapter(policy, elsewhere, tmp_path / "v4")
    with pytest.raises(Exception, match=r"adapter v4: tensor \S+model\.other\.layers\.\S+ matches no LoRA layer"):
        await engine.load_adapter(4, str(tmp_path / "v4"))


async def test_a_core_that_dies_while_it_loads_an_adapter_fails_the_call_at_once(
    engine: Engine, tiny_model: Path, tmp_path: Path
) -> None:
    """Last, because it ends the engine. vLLM itself lets the call wait for ever."""
    policy = adapted_policy(tiny_model, 5)
    save_adapter(policy, adapter_weights(policy), tmp_path / "v5")
    (core,) = cores(engine)
    core.suspend()  # so that it is in the middle of the call when it dies
    call = asyncio.ensure_future(engine.load_adapter(5, str(tmp_path / "v5")))
    await asyncio.wait([call], timeout=0.5)
    assert not call.done()
    core.kill()
    async with asyncio.timeout(60):
        with pytest.raises(EngineDied):
            await call
