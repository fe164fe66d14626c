"""The systems that our loop is compared with, each in a process: some train, some only generate."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.result import Result, parse
from bench.workload import Workload, chats, save
from common.backends.dtype import Name
from common.config import ModelSpec
from common.models import resolve_model

GENERATORS = {"engine": "bench.engine_alone", "vllm": "bench.reference_vllm"}
TRAINERS = {"trl": "bench.reference_trl", "torch": "bench.reference_torch"}
MODULES = {**GENERATORS, **TRAINERS}

_THREADS = ("OMP_", "GOMP_", "KMP_", "MKL_")
"""Prefixes of environment variables that could give a system fewer threads than its library's default."""


def build(steps: int, prompts: int, tokens: int, dtype: Name, data: str, source: str, warm_steps: int = 1) -> Workload:
    """A workload on the notes of `data` for the model of `source`, whose folder is made when needed."""
    model = resolve_model(ModelSpec(source=source, dtype=dtype))
    drawn = chats((steps + warm_steps) * prompts, seed=0, data=data)
    return Workload(
        model=str(model),
        dtype=dtype,
        prompts=drawn,
        prompts_per_step=prompts,
        tokens=tokens,
        warm_steps=warm_steps,
        steps=steps,
    )


def run(system: str, work: Workload, timeout_s: float) -> Result:
    """One of `MODULES`. Raises ValueError when it fails or takes longer than `timeout_s`."""
    module = MODULES[system]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(_THREADS)}
    with tempfile.TemporaryDirectory() as folder:
        path = save(work, Path(folder) / "workload.json")
        command = [sys.executable, "-m", module, str(path)]
        try:
            done = subprocess.run(
                command,
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"{module} took longer than {timeout_s:.0f} s: raise --timeout") from None
    if done.returncode:
        raise ValueError(f"{module} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return parse(done.stdout)
