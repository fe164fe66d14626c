"""CPU: gloo, weights through shared memory, eager vLLM."""

from __future__ import annotations

import os

from common.backends.spec import Backend

# Ray sets OMP_NUM_THREADS=1 for actors that reserve less than one core, so the number is always given.
# Passive waiting: a thread that spins at a barrier would take the core from the other process (three times slower).
_THREADS = {"OMP_NUM_THREADS": str(os.cpu_count() or 1), "OMP_WAIT_POLICY": "PASSIVE"}

CPU = Backend(
    name="cpu",
    device="cpu",
    process_group="gloo",
    weight_backends=("shm",),
    gpus_per_engine=0,
    gpus_per_learner_rank=0,
    # Engine and learner share the cores, so vLLM must not pin its threads.
    # Dynamo off: vLLM would compile one small sampling function with the machine's C++ compiler, if it has one.
    engine_env={**_THREADS, "VLLM_CPU_OMP_THREADS_BIND": "nobind", "TORCHDYNAMO_DISABLE": "1"},
    learner_env={**_THREADS, "DS_ACCELERATOR": "cpu"},
    # Compiling takes minutes and gains nothing at these sizes (docs/design.md, section 7).
    engine_args={"enforce_eager": True},
)
