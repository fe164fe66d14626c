"""CPU: gloo, weights through shared memory, eager vLLM."""

from __future__ import annotations

import os

from common.backends.spec import Backend

_CORES = os.cpu_count() or 1


def _threads(count: int) -> dict[str, str]:
    """Ray sets OMP_NUM_THREADS=1 for actors that reserve less than one core, so the number is always given.

    A thread that spins at a barrier for long takes the core from another process; one that never spins must be woken
    by the system at each of a thousand barriers a second.
    """
    return {"OMP_NUM_THREADS": str(count), "GOMP_SPINCOUNT": "1000"}


_KEEP_MEMORY = {"GLIBC_TUNABLES": f"glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold={2**40}"}
"""glibc gives large blocks back to the system when they are freed, and a training step frees and takes each of its
activations again: 250,000 page faults for a group of SmolLM2-135M, a twelfth of its time."""

_EAGER = {"TORCHDYNAMO_DISABLE": "1"}
"""vLLM would compile one small sampling function with the machine's C++ compiler, if it has one; DeepSpeed imports the
compiler only to prepare an optimiser that is not used."""

_ENGINE = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", **_EAGER}
"""Engine and learner share the cores, so vLLM must not pin its threads."""

CPU = Backend(
    name="cpu",
    device="cpu",
    process_group="gloo",
    transport="shm",
    gpus_per_engine=0,
    gpus_per_learner_rank=0,
    engine_env=_ENGINE,
    learner_env={**_KEEP_MEMORY, **_EAGER, "DS_ACCELERATOR": "cpu"},
    alone_env=_threads(_CORES),
    # Half the cores each: both have a barrier every millisecond, where all threads would wait for one whose core the
    # other process uses (`python -m bench.threads`).
    beside_env=_threads(max(1, _CORES // 2)),
    # Compiling takes minutes and gains nothing at these sizes (docs/design.md, section 7). Only whole blocks of a
    # prompt are kept for its other completions: of vLLM's 128 tokens a block, each of 8 would read up to 127 again.
    engine_args={"enforce_eager": True, "block_size": 32},
    checks_free_memory=False,  # not where the cache has a size of its own, which it always has here
)
