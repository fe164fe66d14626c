"""The ranks of a learner as one of them sees them. Every method is collective: call it on all ranks at once."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist
from torch import Tensor


class Peers:
    """All ranks; `rank` is the number of this one, `device` where its tensors are."""

    def __init__(self, rank: int, world: int, device: str) -> None:
        self._world, self._device = world, device
        self.name = f"learner rank {rank}"
        """What messages call this rank."""

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all ranks."""
        total = tensor.to(self._device, copy=True)
        dist.all_reduce(total)
        return total

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, by rank."""
        values: list[Any] = [None] * self._world
        dist.all_gather_object(values, value)
        return values

    def first(self, fault: str) -> str:
        """The fault of the first rank that has one; empty when none has."""
        return next(filter(None, self.gather(fault)), "")

    def refuse(self, fault: str, because: str = "") -> None:
        """Raise ValueError on every rank, beginning with `because`, if one of them has a fault."""
        if found := self.first(f"{self.name}: {fault}" if fault else ""):
            raise ValueError(f"{because}{found}")
