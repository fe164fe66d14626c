"""Run as a process, `python -m tests.learner.gemma3_multimodal_case FOLDER`, with tests/fakes on its path.

Carries a tiny Gemma3ForConditionalGeneration through load -> LoRA -> published names -> a running vLLM engine and
prints the canary's gap against the first and the moved policy, before and after the update, as one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import torch

from actors.engine import Engine
from actors.engine_arguments import environment
from common.weights import Canary
from learner.policy import Policy, load_policy, merged_weights, sequence_logps
from tests.actors.engine_cases import engine_spec, update, write_segment

SPEC = engine_spec(lora_rank=4)
IDS = tuple(range(5, 69))


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


async def main(folder: Path) -> None:
    os.environ.update(environment(SPEC, SPEC.pools[0]))
    first, moved = load_policy(folder, SPEC.learner, "cpu", seed=1), adapted(folder)
    engine = Engine(SPEC, SPEC.pools[0], "e0")
    await engine.load(folder)
    segment = Path(f"/dev/shm/medserl-test-{os.getpid()}")
    try:
        gaps = {"first before": await gap(engine, first), "moved before": await gap(engine, moved)}
        await update(engine, write_segment(segment, dict(merged_weights(moved, torch.float32))), 1)
        gaps |= {"first after": await gap(engine, first), "moved after": await gap(engine, moved)}
    finally:
        for left in segment.parent.glob(f"{segment.name}*"):
            left.unlink()
        await engine.shutdown()
    print("gaps", json.dumps(gaps))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
