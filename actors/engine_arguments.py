"""What an engine starts with: the environment variables of its process, and vLLM's arguments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.architecture import architecture
from common.backends import BACKENDS
from common.budget import BATCHED_TOKENS, GIB, engine_request
from common.config import PoolSpec, RunSpec
from common.files import read_object

if TYPE_CHECKING:
    from vllm.engine.arg_utils import AsyncEngineArgs

_ONE_PROCESS = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
"""The executor inside vLLM's core process, by its full name: on a CPU vLLM replaces "uni" by "mp" to bind threads,
which the actor's environment does here. One process less starts in half the time and saves half a GiB."""


def environment(spec: RunSpec, pool: PoolSpec, alone: bool = False) -> dict[str, str]:
    """Environment variables that the actor's process needs before vllm is imported.

    `alone`: no learner computes at the same time. In a synchronous run both use all cores, in turn.
    """
    backend = BACKENDS[spec.backend]
    return {
        **backend.engine_env,
        **backend.threads(alone or spec.buffer.max_lag == 0),
        "VLLM_CPU_KVCACHE_SPACE": str(max(1, round(pool.kv_cache_gib))),
        "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "WARNING"),
        "HF_HUB_OFFLINE": "1",  # by now the model is a local folder
        "VLLM_NO_USAGE_STATS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def arguments(spec: RunSpec, pool: PoolSpec, folder: Path) -> AsyncEngineArgs:
    """vLLM's arguments for an engine of the pool that loads the model in `folder`."""
    from vllm.config.weight_transfer import WeightTransferConfig
    from vllm.engine.arg_utils import AsyncEngineArgs

    adapters: dict[str, Any] = {}
    if spec.transport == "adapter":
        adapters = {
            "enable_lora": True,
            "max_lora_rank": spec.learner.lora_rank,
            # Running sequences finish on their own version while new ones use the newest.
            "max_loras": spec.buffer.max_lag + 2,
        }
    return AsyncEngineArgs(
        model=str(folder),
        dtype=spec.model.concrete_dtype,
        load_format="safetensors",  # never a pickle in the same folder
        max_model_len=spec.model.context,
        max_num_seqs=pool.max_num_seqs,
        max_num_batched_tokens=BATCHED_TOKENS,
        tensor_parallel_size=pool.tensor_parallel,
        # Inside a placement group vLLM would make Ray actors of the shards and request the bundle a second time.
        distributed_executor_backend="mp" if pool.tensor_parallel > 1 else _ONE_PROCESS,
        kv_cache_memory_bytes=int(pool.kv_cache_gib * GIB),
        # What sampler and learner need to agree (docs/design.md, section 7).
        logprobs_mode="processed_logprobs",
        generation_config="vllm",
        seed=spec.seed,
        limit_mm_per_prompt={"image": 0} if _is_multimodal(folder) else {},
        worker_extension_cls="actors.engine_worker.WorkerExtension",
        weight_transfer_config=None if adapters else WeightTransferConfig(backend=spec.transport),
        disable_log_stats=True,
        **adapters,
        **_share_of_card(spec, pool, folder),
        **BACKENDS[spec.backend].engine_args,  # type: ignore[arg-type]
    )


def _share_of_card(spec: RunSpec, pool: PoolSpec, folder: Path) -> dict[str, float]:
    """What vLLM must find free on a card, as a share of it: what the plan counts for this engine.

    By default it asks for .92 of the card, also where `kv_cache_memory_bytes` is given, and a learner beside it already
    holds more than the rest. Raises ValueError when the engine alone needs more than the card has.
    """
    if not BACKENDS[spec.backend].checks_free_memory:
        return {}
    from vllm.platforms import current_platform

    needed, there = engine_request(spec, pool, architecture(str(folder))), current_platform.get_device_total_memory()
    if needed > there:
        raise ValueError(
            f"pools.{pool.name}: an engine needs {needed / GIB:.1f} GiB and its card has {there / GIB:.1f}: lower "
            "kv_cache_gib, or raise tensor_parallel"
        )
    return {"gpu_memory_utilization": needed / there}


def _is_multimodal(folder: Path) -> bool:
    return "vision_config" in read_object(folder / "config.json")
