"""A stand-in for vLLM's CUDA platform that answers as a card does, so that vLLM's checks of arguments and memory run
where there is none. `install` it before anything else of vLLM is imported, in a process of its own."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

KERNELS = ("vllm._C_stable_libtorch", "vllm._moe_C_stable_libtorch", "vllm.vllm_flash_attn")
"""Modules of vLLM's CUDA build: its checks of arguments import their names and call none of them."""


QUESTIONS = ("cutlass_scaled_mm_supports_fp8", "cutlass_scaled_mm_supports_block_fp8", "cutlass_group_gemm_supported")
"""Operators of that build that are called while modules are imported."""


class _Kernels(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **named: None


def install(gib: float) -> Any:
    """Make vLLM see one card of that many GiB, of compute capability 8.9."""
    for name in KERNELS:
        sys.modules[name] = _Kernels(name)
    import torch
    import vllm.platforms
    from vllm.platforms.cuda import CudaPlatformBase
    from vllm.platforms.interface import DeviceCapability

    class Card(CudaPlatformBase):  # type: ignore[misc]
        gib = 0.0  # vLLM asks the instance

        @classmethod
        def get_device_capability(cls, device_id: int = 0) -> DeviceCapability:
            return DeviceCapability(8, 9)

        @classmethod
        def get_device_name(cls, device_id: int = 0) -> str:
            return "NVIDIA stand-in"

        def get_device_total_memory(self, device_id: int = 0) -> int:
            return int(self.gib * 2**30)

        @classmethod
        def is_fully_connected(cls, device_ids: list[int]) -> bool:
            return True

    operators = torch.library.Library("_C", "FRAGMENT")
    for name in QUESTIONS:
        operators.define(f"{name}(int capability) -> bool", alias_analysis="CONSERVATIVE")
        operators.impl(name, lambda capability: False, "CompositeExplicitAutograd")
    card = Card()
    card.gib = gib
    card.operators = operators  # they are gone with the library
    vllm.platforms._current_platform = card  # what its `current_platform` is
    return card
