"""A Ray cluster of several machines on one: a raylet each, with GPUs that only Ray counts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private.node import Node
from ray.cluster_utils import Cluster


@contextmanager
def machines(*gpus: int) -> Iterator[Cluster]:
    """A machine for each number of GPUs; this process is connected to the first.

    With files of its own: others on this computer who start Ray must not come upon this cluster.
    """
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as files,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("RAY_TMPDIR", files)
        cluster = Cluster()
        try:
            for count in gpus:
                machine(cluster, count)
            patch.setenv("RAY_ADDRESS", cluster.address)
            variables = {"PYTHONPATH": str(Path.cwd())}
            ray.init(log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": variables})
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def machine(cluster: Cluster, gpus: int, **settings: Any) -> Node:
    """One more."""
    return cluster.add_node(
        num_cpus=1, num_gpus=gpus, object_store_memory=80_000_000, include_dashboard=False, **settings
    )
