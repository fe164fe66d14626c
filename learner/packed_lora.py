"""peft's LoRA layer on a packed base weight. A module of its own, because importing peft takes seconds.

Shapes: S rows, I inputs, O outputs, R the LoRA rank.
"""

from __future__ import annotations

from typing import Any

from peft.tuners import lora
from torch import Tensor

from learner.frozen_linear import Frozen, LoraOnFrozen, PackedWeight


class PackedLora(lora.Linear):  # type: ignore[misc]
    """peft's LoRA on a linear layer, computed from the packed base weight. `pack` must be called after loading."""

    packed: PackedWeight | None = None

    def pack(self) -> None:
        """Pack the base weight, which must not change from here on."""
        self.packed = PackedWeight(self.get_base_layer().weight)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """[..., I] -> [..., O]."""
        if self.packed is None:
            unpacked: Tensor = super().forward(x, *args, **kwargs)
            return unpacked
        rows_SI, bias = x.flatten(0, -2), self.get_base_layer().bias
        if self.disable_adapters:
            rows: Tensor = Frozen.apply(rows_SI, self.packed, bias)  # type: ignore[no-untyped-call]
        else:
            (name,) = self.active_adapters
            down_RI, up_OR = self.lora_A[name].weight, self.lora_B[name].weight
            rows = LoraOnFrozen.apply(rows_SI, down_RI, up_OR, self.scaling[name], self.packed, bias)  # type: ignore[no-untyped-call]
        return rows.reshape(*x.shape[:-1], rows.shape[-1])
