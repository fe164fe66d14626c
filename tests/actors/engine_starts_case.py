"""Run as a process, `python -m tests.actors.engine_starts_case`, with tests/fakes on its path: the CUDA arguments of
the engines of every spec that ships go through vLLM's own checks. Prints one JSON line per engine and moment.

A spec for a CPU is planned for one card of 24 GB. What is free on the card is what the plan predicts.
"""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

from common.architecture import Architecture, architecture
from common.budget import GIB
from common.config import PoolSpec, RunSpec
from deploy import cli
from deploy.cluster.gpu_layout import VISIBLE, EngineStart, engine_starts, plan_memory
from tests.actors import cuda_card

DEFAULT = 0.92  # vLLM's own gpu_memory_utilization, to show that the check bites
SPECS = Path("deploy/specs")


def on_cuda(path: Path) -> RunSpec:
    if cli.load(path).backend == "cuda":
        return cli.parse([str(path)]).spec.concrete("bfloat16")
    card = ("--backend", "cuda", "--hardware.gpus", "1", "--hardware.gpu_gib", "24")
    return cli.parse([str(path), *card]).spec.concrete("bfloat16")


def write_config(arch: Architecture, folder: Path) -> None:
    """A config.json of that architecture; nothing of vLLM that runs here reads weights."""
    from transformers import Gemma3Config, Gemma3TextConfig, LlamaConfig

    text = {
        "hidden_size": arch.hidden,
        "num_hidden_layers": arch.layers,
        "num_attention_heads": arch.heads,
        "num_key_value_heads": arch.kv_heads,
        "head_dim": arch.head_dim,
        "intermediate_size": arch.intermediate,
        "vocab_size": arch.vocabulary,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": arch.tied,
    }
    config: Any = LlamaConfig(**text, architectures=["LlamaForCausalLM"])
    if arch.gemma:
        text["sliding_window"] = arch.window
        config = Gemma3TextConfig(**text, architectures=["Gemma3ForCausalLM"])
    if arch.vision:
        v = arch.vision
        vision = {
            "hidden_size": v.hidden,
            "num_hidden_layers": v.layers,
            "intermediate_size": v.intermediate,
            "num_attention_heads": 16,
            "image_size": int(v.patches**0.5) * v.patch,
            "patch_size": v.patch,
        }
        config = Gemma3Config(text_config=text, vision_config=vision, architectures=["Gemma3ForConditionalGeneration"])
    config.save_pretrained(folder)


def refused(start: EngineStart, total: int, cache_config: Any) -> str:
    """What vLLM's first check of a starting worker says, "" when it passes."""
    from vllm.utils.mem_utils import MemorySnapshot
    from vllm.v1.worker.utils import request_memory

    snapshot = MemorySnapshot(free_memory=start.free, total_memory=total, device="cuda:0", auto_measure=False)
    try:
        request_memory(snapshot, cache_config)
    except ValueError as error:
        return str(error)
    return ""


def holds_a_sequence(config: Any, arch: Architecture) -> str:
    """vLLM's check that the cache holds `max_model_len`, after what it reserves for images; "" when it passes."""
    from vllm.multimodal.gpu_ipc_memory import reserve_mm_ipc_gpu_memory
    from vllm.v1.core.kv_cache_utils import check_enough_kv_cache_memory
    from vllm.v1.kv_cache_interface import FullAttentionSpec, SlidingWindowSpec

    shape = {
        "block_size": 16,
        "num_kv_heads": arch.kv_heads,
        "head_size": arch.head_dim,
        "dtype": config.model_config.dtype,
    }
    layers = {
        f"layer {at}": SlidingWindowSpec(**shape, sliding_window=arch.window)
        if at < arch.sliding_layers
        else FullAttentionSpec(**shape)
        for at in range(arch.layers)
    }
    config.cache_config.kv_cache_layout = "LBNHC"  # the engine's core chooses one; the size is that of any
    size = config.cache_config.kv_cache_memory_bytes
    left = reserve_mm_ipc_gpu_memory(size, config.model_config.multimodal_config)
    if left != size:
        return f"{size - left} bytes reserved for images"
    try:
        check_enough_kv_cache_memory(config, layers, left)
    except ValueError as error:
        return str(error)
    return ""


def rows(name: str, spec: RunSpec, pool: PoolSpec, card: Any) -> list[dict[str, Any]]:
    from actors.engine_arguments import arguments

    arch = architecture(spec.model.source)
    card.gib = spec.hardware.gpu_gib
    with tempfile.TemporaryDirectory() as folder:
        write_config(arch, Path(folder))
        assert architecture(folder) == arch
        config = arguments(spec, pool, Path(folder)).create_engine_config()
    total = int(VISIBLE * spec.hardware.gpu_gib * GIB)
    starts = [start for one in plan_memory(spec, arch) for start in engine_starts(one)]
    mine = [start for start in starts if start.engine == f"{pool.name}-0"]
    by_default = with_share(config.cache_config, DEFAULT)
    return [
        {
            "spec": name,
            "engine": start.engine,
            "moment": start.moment,
            "refused": refused(start, total, config.cache_config),
            "refused_by_default": refused(start, total, by_default),
            "cache": holds_a_sequence(config, arch),
        }
        for start in mine
    ]


def with_share(cache_config: Any, utilization: float) -> Any:
    other = copy.copy(cache_config)
    other.gpu_memory_utilization = utilization
    return other


def main() -> None:
    card = cuda_card.install(24)
    for path in sorted(SPECS.glob("*.yaml")):
        spec = on_cuda(path)
        for pool in spec.pools:
            for row in rows(path.stem, spec, pool, card):
                print("START", json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
