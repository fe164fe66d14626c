"""The shape of a backend."""

from __future__ import annotations

from common.records import Record


class Backend(Record):
    """Everything the actors need to know about the hardware.

    `engine_env` and `learner_env` are environment variables that must be set before the process imports vllm or
    deepspeed, `engine_alone_env` those of an engine that no learner shares the machine with; `engine_args` go to
    vLLM's AsyncEngineArgs as they are.
    """

    name: str
    device: str  # torch device type of the learner
    process_group: str  # torch.distributed backend of the learner's ranks
    weight_backends: tuple[str, ...]  # weight-transfer backends that work here; the first is the default
    gpus_per_engine: int
    gpus_per_learner_rank: int
    engine_env: dict[str, str]
    engine_alone_env: dict[str, str]
    learner_env: dict[str, str]
    engine_args: dict[str, bool | int | str]
