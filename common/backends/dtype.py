"""What `model.dtype: auto` resolves to: bfloat16 if the machine has instructions for it, float32 if it emulates it.

Pure functions of a machine's description, and thin readers of that description.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from typing import Literal

from common.backends.processor import Processor, cpuinfo
from common.records import Record

Name = Literal["bfloat16", "float32"]

CAPABILITY = 8.0
"""CUDA compute capability from which a card, and vLLM on it, computes in bfloat16."""

_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")
"""x86, and ARM's."""

CAPS = {
    "ONEDNN_MAX_CPU_ISA": ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"),
    "ATEN_CPU_CAPABILITY": ("DEFAULT", "AVX2"),
}
"""Environment variables, and their values, that stop torch's kernels from using bfloat16 instructions."""


class Dtype(Record):
    """The best dtype of a machine, and the reason that is shown to users."""

    name: Name
    reason: str


def cpu_dtype(text: str, environment: Mapping[str, str]) -> Dtype:
    """Of a processor, by the text of /proc/cpuinfo ("" where there is none) and the variables that cap its use."""
    processor = Processor.of(text)
    if not processor.sets:
        return Dtype(
            name="float32", reason="the instruction sets of this processor are unknown: there is no /proc/cpuinfo"
        )
    called = f"this processor, {processor.name}," if processor.name else "this processor"
    found = [one for one in _INSTRUCTIONS if one in processor.sets]
    if not found:
        return Dtype(name="float32", reason=f"{called} has no bfloat16 instructions")
    cap = next((name for name, values in CAPS.items() if environment.get(name, "").upper() in values), None)
    if cap is not None:
        return Dtype(name="float32", reason=f"{called} has {found[0]}, but {cap}={environment[cap]} forbids its use")
    return Dtype(name="bfloat16", reason=f"{called} has {found[0]}")


def cuda_dtype(cards: str) -> Dtype:
    """Of a machine's GPUs, by nvidia-smi's lines of "name, compute capability" ("" where it cannot be asked)."""
    found = [(float(number), card) for card, number in re.findall(r"^(.+), *(\d+\.\d+)\s*$", cards, re.MULTILINE)]
    if not found:
        assumed = (
            f"assumed: compute capability {CAPABILITY} or newer; no GPU here, so it is decided when the run starts"
        )
        return Dtype(name="bfloat16", reason=assumed)
    capability, card = min(found)
    if capability < CAPABILITY:
        return Dtype(
            name="float32",
            reason=f"{card} has compute capability {capability}, and bfloat16 needs {CAPABILITY}; float32 works there",
        )
    return Dtype(name="bfloat16", reason=f"{card} has compute capability {capability}")


def best_dtype(backend: str = "cpu") -> Dtype:
    """What this machine computes in, as the environment of this process lets it."""
    return cuda_dtype(_cards()) if backend == "cuda" else cpu_dtype(cpuinfo(), os.environ)


def agreed(found: Mapping[str, Dtype]) -> Dtype:
    """What all machines of a cluster compute in, by their names; the reason names those that force float32."""
    forcing = [name for name, dtype in found.items() if dtype.name == "float32"]
    named = forcing or list(found)
    reason = found[named[0]].reason
    if len(found) > 1:
        plural = "s" if len(named) > 1 else ""
        where = "every node" if len(named) == len(found) else f"node{plural} {', '.join(named)}"
        reason = f"{where}: {reason}"
    return Dtype(name="float32" if forcing else "bfloat16", reason=reason)


def notice(written: str, found: Dtype, backend: str) -> str:
    """One line for users about `written`, the spec's `model.dtype`, on machines like `found`; "" if nothing is to say.

    Raises ValueError for a dtype that does not run there.
    """
    if written == "auto":
        return f"model.dtype: {found.name} (auto: {found.reason})"
    if written == "float32" or found.name == "bfloat16":
        return ""
    if backend == "cuda":  # vLLM refuses
        raise ValueError(f"model.dtype bfloat16: {found.reason}: write model.dtype: auto, or float32")
    return f"model.dtype: bfloat16 is emulated, about three times slower: {found.reason}; auto would take float32"


def _cards() -> str:
    """nvidia-smi rather than torch, which would open a CUDA context, and sees no card in a Ray task without GPUs."""
    command = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
