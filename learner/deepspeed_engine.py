"""DeepSpeed around the policy: process group, settings, engine. Imported lazily: it reads the environment on import."""

from __future__ import annotations

import copyreg
import math
import os
import socket
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from common.budget import reduce_bucket
from common.config import RunSpec
from learner.finite_weights import first_not_finite
from learner.policy import Gather, LogpModel, whole

_PEER_TIMEOUT = timedelta(minutes=10)  # of a collective; a rank that waits longer fails


def deepspeed_stage(spec: RunSpec) -> int:
    """DeepSpeed's stage for `learner.zero_stage`.

    In bfloat16 its stage 0 adds up gradients in bfloat16, where small ones are lost in rounding; stage 1 trains the
    same and adds them up in float32.
    """
    return max(spec.learner.zero_stage, 1 if spec.model.concrete_dtype == "bfloat16" else 0)


def deepspeed_config(spec: RunSpec, trained: int) -> dict[str, Any]:
    """DeepSpeed's settings for a run with that many trained numbers; optimiser and learning rate are set here."""
    learner, cuda = spec.learner, spec.backend == "cuda"
    zero: dict[str, Any] = {
        "stage": deepspeed_stage(spec),
        "overlap_comm": cuda,
        # Allocated at every backward pass, up to twice; by default a gigabyte each, however little LoRA trains.
        "reduce_bucket_size": reduce_bucket(trained),
    }
    if learner.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": cuda}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": learner.batch_groups // learner.ranks,
        "gradient_clipping": learner.max_grad_norm,
        "bf16": {"enabled": spec.model.concrete_dtype == "bfloat16", "immediate_grad_update": True},
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_optimization": zero,
        "zero_force_ds_cpu_optimizer": False,  # torch's AdamW needs no compiler, unlike DeepSpeed's
        "steps_per_print": 10**9,
    }


def deepspeed_engine(module: nn.Module, spec: RunSpec) -> Any:
    """The module under DeepSpeed, with AdamW on float32 masters of the trained weights."""
    import deepspeed
    from deepspeed.runtime.zero.config import ZeroStageEnum

    # It is in every checkpoint. Before Python 3.11.4 enums are pickled as a call of getattr, which no load may allow.
    copyreg.pickle(ZeroStageEnum, lambda stage: (ZeroStageEnum, (int(stage),)))
    # DeepSpeed would compile a CPU inference kernel at start, which takes half a minute and needs a compiler.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=spec.learner.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    config = deepspeed_config(spec, sum(parameter.numel() for parameter in trained))
    exact = {name: buffer.clone() for name, buffer in module.named_buffers()}
    engine, *_ = deepspeed.initialize(
        model=LogpModel(module), model_parameters=trained, optimizer=optimizer, config=config
    )
    # DeepSpeed casts buffers to bfloat16 with the weights, but rotary frequencies with 8 bits of mantissa are wrong
    # by whole radians at late positions; the engines keep them in float32.
    for name, buffer in exact.items():
        owner, _, leaf = name.rpartition(".")
        module.get_submodule(owner).register_buffer(
            leaf, buffer, persistent=leaf in module.get_submodule(owner).state_dict()
        )
    return engine


def take_step(engine: Any, module: nn.Module, zero_stage: int, rate: float) -> tuple[float, str]:
    """Clip and step at a learning rate: the gradient's norm before clipping, and why no weight was changed, or "".

    DeepSpeed itself skips a step whose gradient is not finite, but not in float32 without ZeRO. There it reports no
    norm either, but the gradients are whole.
    """
    tensor, norm = "", None
    if zero_stage == 0:
        gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
        norm = float(nn.utils.get_total_norm(list(gradients.values())))
        if tensor := first_not_finite(gradients.items()):
            rate = 0.0
            for gradient in gradients.values():
                gradient.zero_()
    for group in engine.optimizer.param_groups:
        group["lr"] = rate
    engine.step()
    norm = float(engine.get_global_grad_norm()) if norm is None else norm
    if math.isfinite(norm):
        return norm, ""
    return norm, f"the gradient{f' of {tensor}' if tensor else ''} has a norm of {norm}"


def join(process_group: str, rank: int, world: int, rendezvous: str) -> None:
    """Join the process group, once per process. DeepSpeed reads rank and world size from the environment.

    Ray shows each rank its own GPU only, so every rank's device is 0.
    """
    if dist.is_initialized():
        return
    host, port = rendezvous.rsplit(":", 1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": "0"}
    os.environ |= {"MASTER_ADDR": host, "MASTER_PORT": port}
    store = _store(host, int(port), rank, world)
    dist.init_process_group(process_group, store=store, rank=rank, world_size=world, timeout=_PEER_TIMEOUT)


def _store(host: str, port: int, rank: int, world: int) -> Any:
    """The rendezvous store. Rank 0 listens on `host` only; by default torch listens on every interface."""
    kind: Any = dist.TCPStore  # type: ignore[attr-defined]
    if rank:
        return kind(host, port, world, is_master=False, timeout=_PEER_TIMEOUT)
    listener = socket.create_server((host, port), backlog=world)
    return kind(host, port, world, is_master=True, timeout=_PEER_TIMEOUT, master_listen_fd=listener.detach())


def gathered(zero_stage: int) -> Gather:
    """Context manager that gathers partitioned parameters on every rank."""
    if zero_stage < 3:
        return whole
    import deepspeed

    gather: Gather = deepspeed.zero.GatheredParameters
    return gather
