"""Real engines on tiny models, and stand-ins for the Ray handles and learner ranks around them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor

from actors.engine import Engine
from actors.engine_arguments import environment
from common.config import BufferSpec, LearnerSpec, ModelSpec, PoolSpec, RunSpec, WeightsSpec
from common.records import Message, Record, Sampled
from common.weights import Manifest, SegmentWriter
from learner.bounds import BOUNDS
from learner.policy import Policy, load_policy, merged_weights, sequence_logps

ROOT = Path(__file__).parents[2]
NOTE = "A 34-year-old woman has had fever and a productive cough for three days. "
MESSAGES = (Message(role="user", content=NOTE * 4),)


BOUND = BOUNDS["float32"]
"""No processor emulates float32, and sampler and learner agree in it to .0000 nats."""


def engine_spec(transport: str = "shm", lora_rank: int = 0) -> RunSpec:
    return RunSpec(
        name="engine-test",
        model=ModelSpec(source="tiny", dtype="float32", context=768),
        pools=(PoolSpec(kv_cache_gib=0.25, max_num_seqs=16),),
        buffer=BufferSpec(max_lag=1),
        learner=LearnerSpec(lora_rank=lora_rank, lora_alpha=16, gradient_checkpointing=False),
        weights=WeightsSpec(transport=transport, timeout_seconds=60),  # type: ignore[arg-type]
    )


@contextmanager
def vllm_environment(spec: RunSpec) -> Iterator[None]:
    """What Ray's runtime_env sets in production, and the import path of the spawned core."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(spec, spec.pools[0]).items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
        yield


class Handle:
    """What a Ray actor handle looks like to its callers, over a local object. `replaced` methods win."""

    def __init__(self, target: Any, **replaced: Any) -> None:
        self._target, self._replaced = target, replaced

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=self._replaced.get(name) or getattr(self._target, name))


class Sent(Record):
    checksum: str
    failures: dict[str, str]


class FullRank:
    """A learner rank that sends a policy as a segment; `damage` flips a byte of one tensor in the next segments."""

    def __init__(self, policy: Policy, segment: Path, damaged_sends: int = 0) -> None:
        self._policy, self._segment, self._damaged_sends = policy, segment, damaged_sends
        self.damaged_tensor = ""

    async def stage(self, version: int) -> None:
        return

    async def send(self, version: int, engines: dict[str, Handle]) -> Sent:
        manifest = write_segment(self._segment, dict(merged_weights(self._policy, torch.float32)))
        if self._damaged_sends:
            self._damaged_sends -= 1
            self.damaged_tensor = _damage(manifest)
        failures = {}
        for name, engine in engines.items():
            (error,) = await asyncio.gather(transfer(engine, manifest), return_exceptions=True)
            if error is not None:  # vLLM raises a bare Exception; Ray would carry it to the sender
                failures[name] = str(error)
        return Sent(checksum=manifest.checksum, failures=failures)

    async def canary(self, ids: tuple[int, ...]) -> tuple[float, ...]:
        return tuple(sequence_logps(self._policy.module, ids))


class IdleRank(FullRank):
    """Sends nothing, and claims that it sent `checksum`."""

    def __init__(self, policy: Policy, checksum: str) -> None:
        super().__init__(policy, Path("/nowhere"))
        self._claimed = checksum

    async def send(self, version: int, engines: dict[str, Handle]) -> Sent:
        return Sent(checksum=self._claimed, failures={})


def write_segment(path: Path, tensors: dict[str, Tensor]) -> Manifest:
    writer = SegmentWriter(path)
    for name, tensor in tensors.items():
        data = tensor.detach().contiguous()
        raw = memoryview(data.view(torch.uint8).reshape(-1).numpy())
        writer.add(name, str(data.dtype).removeprefix("torch."), tuple(data.shape), raw)
    return writer.close()


def _damage(manifest: Manifest) -> str:
    entry = manifest.tensors[len(manifest.tensors) // 2]
    with open(manifest.path, "r+b") as file:
        file.seek(entry.offset + entry.nbytes // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    return entry.name


async def transfer(engine: Handle, manifest: Manifest) -> None:
    info = {"path": manifest.path, "tensors": [msgspec.to_builtins(entry) for entry in manifest.tensors]}
    await engine.start_weight_update.remote()
    await engine.update_weights.remote(info)
    await engine.finish_weight_update.remote()


async def update(engine: Engine, manifest: Manifest, version: int) -> None:
    """What a channel does to one engine, without the proof."""
    await engine.pause()
    await transfer(Handle(engine), manifest)
    await engine.resume(version)


def moved_policy(folder: Path, spec: RunSpec, seed: int) -> Policy:
    """The model in `folder` after noise as large as its weights: every log-prob moves, the embedding's included."""
    policy = load_policy(folder, spec.learner, "cpu", seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.module.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise * max(parameter.std().item(), 0.02))
    return policy


def stepped_policy(folder: Path, ids: tuple[int, ...]) -> Policy:
    """The model in `folder` after the first step of a default run: LoRA at half the peak learning rate."""
    policy = load_policy(folder, LearnerSpec(gradient_checkpointing=False), "cpu", seed=0)
    trained = [parameter for parameter in policy.module.parameters() if parameter.requires_grad]
    ids_1T = torch.tensor([ids])
    policy.module(input_ids=ids_1T, labels=ids_1T).loss.backward()
    torch.optim.AdamW(trained, lr=LearnerSpec().learning_rate / LearnerSpec().warmup_steps, weight_decay=0).step()
    return policy


def mean_difference(policy: Policy, sampled: Sampled, version: int) -> float:
    """Mean |log-prob of the engine - of the policy| over the sampled tokens that carry `version`."""
    start = len(sampled.prompt_ids) - 1
    differences = [
        abs(theirs - ours)
        for completion in sampled.completions
        for theirs, ours, carried in zip(
            completion.logps,
            sequence_logps(policy.module, (*sampled.prompt_ids.tolist(), *completion.token_ids.tolist()))[start:],
            completion.versions,
            strict=True,
        )
        if carried == version
    ]
    assert differences
    return sum(differences) / len(differences)
