"""CUDA: NCCL between GPUs, CUDA IPC on one."""

from __future__ import annotations

from common.backends.spec import Backend

_ENGINE = {"VLLM_ALLOW_INSECURE_SERIALIZATION": "1"}
"""CUDA IPC handles are Python objects, which vLLM passes to its core process only if this is set."""

CUDA = Backend(
    name="cuda",
    device="cuda",
    process_group="nccl",
    weight_backends=("nccl", "ipc"),
    gpus_per_engine=1,
    gpus_per_learner_rank=1,
    engine_env=_ENGINE,
    learner_env={},
    alone_env={},
    beside_env={},
    engine_args={},
)
