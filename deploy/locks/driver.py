"""The NVIDIA driver that deploy/locks/gpu.lock.txt needs, by the CUDA runtime in it."""

from __future__ import annotations

import re
from pathlib import Path

LOCK = Path(__file__).with_name("gpu.lock.txt")

OLDEST = {12: 525, 13: 580}
"""First driver branch for each major version of CUDA: of that branch or a newer one, any runs every minor version. By
NVIDIA's "CUDA Compatibility", chapter Minor Version Compatibility, table 1: 12.x from 525 on, 13.x from 580 on
(docs.nvidia.com/deploy/cuda-compatibility)."""


def cuda_version() -> str:
    """The CUDA runtime of the lock, for example 13.0."""
    found = re.search(r"^nvidia-cuda-runtime==(\d+\.\d+)", LOCK.read_text(), re.MULTILINE)
    assert found is not None, "the lock has a CUDA runtime"
    return found[1]


def oldest_driver() -> int:
    """The driver branch, for example 580."""
    return OLDEST[int(cuda_version().split(".")[0])]


def driver_line() -> str:
    """One line for people."""
    return f"NVIDIA driver {oldest_driver()} or newer: the GPU lock is built for CUDA {cuda_version()}"
