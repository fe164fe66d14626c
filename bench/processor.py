"""The processor that a table was measured on, in words."""

from __future__ import annotations

from collections.abc import Mapping

from common.backends.dtype import CAPS
from common.backends.processor import Processor

SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_tile", "sve", "bf16")
"""The instruction sets that determine the speed of matrix multiplication: x86, then ARM."""


def described(processor: Processor, cores: int, environment: Mapping[str, str]) -> str:
    """Its name, cores and relevant instruction sets, with the variables that keep torch from using them."""
    found = ", ".join(name for name in SETS if name in processor.sets)
    caps = [f"{name}={environment[name]}" for name in CAPS if environment.get(name)]
    name, unit = processor.name or "processor without a name", "core" if cores == 1 else "cores"
    return f"{name}, {cores} {unit} ({'; '.join([found or 'none known', *caps])})"
