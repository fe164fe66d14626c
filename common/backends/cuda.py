"""CUDA: NCCL between GPUs, shared memory on one."""

from __future__ import annotations

from common.backends.spec import Backend

CUDA = Backend(
    name="cuda",
    device="cuda",
    process_group="nccl",
    transport="broadcast",
    gpus_per_engine=1,
    gpus_per_learner_rank=1,
    engine_env={},
    learner_env={},
    alone_env={},
    beside_env={},
    engine_args={},
    checks_free_memory=True,
)
