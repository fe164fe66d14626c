"""Run as a process, `python -m tests.learner.gemma3_multimodal_case FOLDER WAY`, with tests/fakes on its path.

Carries a tiny Gemma3ForConditionalGeneration through load -> LoRA -> published names or adapter -> an engine, and
prints the canary's gap against the first and the moved policy, before and after the update, as one JSON line; for the
adapter also its checksums, and what the engine says of one whose names are those of a model without a vision tower.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from actors.engine import Engine
from actors.engine_arguments import environment
from common.weights import Canary, named_checksum
from learner.export import save_adapter
from learner.policy import Policy, adapter_weights, load_policy, merged_weights, sequence_logps
from tests.actors.engine_cases import engine_spec, update, write_segment

RANK = 8
IDS = tuple(range(5, 69))


SPEC = engine_spec(lora_rank=RANK)


def adapted(folder: Path) -> Policy:
    """LoRA on the decoder, its zero half drawn at random."""
    policy = load_policy(folder, SPEC.learner, "cpu", seed=1)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in policy.module.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    return policy


async def gap(engine: Engine, policy: Policy) -> float:
    report = await engine.prove(IDS)
    return Canary(token_ids=IDS, logps=tuple(sequence_logps(policy.module, IDS))).gap(report.canary_logps)


async def send_whole(engine: Engine, moved: Policy) -> dict[str, Any]:
    segment = Path(f"/dev/shm/medserl-test-{os.getpid()}")
    try:
        await update(engine, write_segment(segment, dict(merged_weights(moved, torch.float32))), 1)
    finally:
        for left in segment.parent.glob(f"{segment.name}*"):
            left.unlink()
    return {}


async def send_adapter(engine: Engine, moved: Policy) -> dict[str, Any]:
    tensors = adapter_weights(moved)
    with tempfile.TemporaryDirectory() as home:
        elsewhere = {name.replace("language_model.", ""): tensor for name, tensor in tensors.items()}
        save_adapter(moved, elsewhere, Path(home) / "v7")
        (refusal,) = await asyncio.gather(engine.load_adapter(7, f"{home}/v7"), return_exceptions=True)
        save_adapter(moved, tensors, Path(home) / "v1")
        await engine.load_adapter(1, f"{home}/v1")
        held = (await engine.prove(IDS)).checksum
    sent = named_checksum((name, memoryview(tensor.numpy()).cast("B")) for name, tensor in tensors.items())
    return {"sent": sent, "held": held, "refusal": str(refusal or "")}


async def main(folder: Path, transport: str) -> None:
    spec = engine_spec(transport, lora_rank=RANK)
    os.environ.update(environment(spec, spec.pools[0]))
    first, moved = load_policy(folder, SPEC.learner, "cpu", seed=1), adapted(folder)
    engine = Engine(spec, spec.pools[0], "e0")
    await engine.load(folder)
    try:
        found: dict[str, Any] = {"first before": await gap(engine, first), "moved before": await gap(engine, moved)}
        found |= await (send_adapter if transport == "adapter" else send_whole)(engine, moved)
        found |= {"first after": await gap(engine, first), "moved after": await gap(engine, moved)}
    finally:
        await engine.shutdown()
    print("found", json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
