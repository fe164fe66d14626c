"""The shape of a backend."""

from __future__ import annotations

from common.records import Record


class Backend(Record):
    """Everything the actors need to know about the hardware.

    `engine_env` and `learner_env` are environment variables that must be set before the process imports vllm or
    deepspeed, and with either goes one of two more: `alone_env` where engine and learner never compute at the same
    time, `beside_env` where they do. `engine_args` go to vLLM's AsyncEngineArgs as they are.
    """

    name: str
    device: str  # torch device type of the learner
    process_group: str  # torch.distributed backend of the learner's ranks, and of the broadcast of weights
    transport: str  # of weights, where the spec names none
    gpus_per_engine: int
    gpus_per_learner_rank: int
    engine_env: dict[str, str]
    learner_env: dict[str, str]
    alone_env: dict[str, str]
    beside_env: dict[str, str]
    engine_args: dict[str, bool | int | str]
    checks_free_memory: bool  # vLLM refuses to start where less than `gpu_memory_utilization` of the device is free

    def threads(self, alone: bool) -> dict[str, str]:
        """`alone_env` or `beside_env`."""
        return self.alone_env if alone else self.beside_env
