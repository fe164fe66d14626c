"""Resolves `model.dtype: auto` once per run, on the nodes where its actors will be, before the spec is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.backends import BACKENDS, Dtype, agreed, best_dtype, notice
from common.config import RunSpec
from deploy.cluster.gpu_layout import stays_here

Machine = Mapping[str, Any]
"""One entry of `ray.nodes()`."""


def settled(spec: RunSpec) -> tuple[RunSpec, str]:
    """The spec with its dtype decided by the nodes of the connected cluster, and one line about it, "" when there is
    nothing to say. Raises ValueError for a dtype that does not run there."""
    if spec.model.dtype == "float32":
        return spec, ""
    found = _found(spec)
    return spec.concrete(found.name), notice(spec.model.dtype, found, spec.backend)


def foreseen(spec: RunSpec) -> tuple[RunSpec, str]:
    """The same where nothing is started: as on this machine."""
    found, plain = best_dtype(spec.backend), f"model.dtype: {spec.model.dtype}"
    if spec.backend == "cuda" and spec.model.dtype != "auto":  # the plan may be for other GPUs
        return spec, plain
    return spec.concrete(found.name), notice(spec.model.dtype, found, spec.backend) or plain


def hosts(spec: RunSpec, nodes: Sequence[Machine], here: str) -> list[Machine]:
    """The nodes that may get an engine or a learner rank; `here` is the driver's NodeID."""
    alive = [node for node in nodes if node["Alive"]]
    if stays_here(spec):
        (address,) = (node["NodeManagerAddress"] for node in alive if node["NodeID"] == here)
        alive = [node for node in alive if node["NodeManagerAddress"] == address]
    if BACKENDS[spec.backend].gpus_per_engine:
        alive = [node for node in alive if node["Resources"].get("GPU")]
    return alive


def _found(spec: RunSpec) -> Dtype:
    """The dtype that all nodes support; this machine's where there are none yet. This machine is probed without a Ray
    task, which would wait for a process to start."""
    here = ray.get_runtime_context().get_node_id()
    nodes = hosts(spec, ray.nodes(), here)
    asked = {node["NodeName"]: _ask(node["NodeID"], spec.backend) for node in nodes if node["NodeID"] != here}
    try:
        found = {name: ray.get(answer) for name, answer in asked.items()}
    except RayError as error:
        raise ValueError(f"model.dtype: a node was lost while it was asked what it computes in: {error}") from error
    found |= {node["NodeName"]: best_dtype(spec.backend) for node in nodes if node["NodeID"] == here}
    return agreed(found) if found else best_dtype(spec.backend)


def _ask(node: str, backend: str) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(best_dtype).options(num_cpus=0, scheduling_strategy=strategy).remote(backend)
