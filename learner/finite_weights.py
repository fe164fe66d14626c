"""Tensors that hold NaN or an infinity, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn


def all_finite(tensor: Tensor) -> bool:
    """Whether no element is NaN or an infinity, in one pass; `isfinite` of a whole tensor takes several."""
    if not tensor.numel():
        return True
    low, high = torch.aminmax(tensor)  # NaN where any element is
    return bool(torch.isfinite(low) & torch.isfinite(high))


def first_not_finite(named: Iterable[tuple[str, Tensor]]) -> str:
    """The name of the first tensor that holds a number which is not finite; empty when none does."""
    return next((name for name, tensor in named if not all_finite(tensor)), "")


def weight_fault(module: nn.Module) -> str:
    """Which trained weight is not finite, or ""; of weights that ZeRO-3 partitions, this rank's part."""
    trained = ((name, _held(p)) for name, p in module.named_parameters() if p.requires_grad)
    name = first_not_finite(trained)
    return f"the weight {name} is not finite" if name else ""


def finite(named: Iterable[tuple[str, Tensor]], whose: str) -> Iterator[tuple[str, Tensor]]:
    """The same tensors. Raises ValueError at the first that is not finite."""
    for name, tensor in named:
        if not all_finite(tensor):
            raise ValueError(f"{whose}: the weight {name} is not finite: it is not published")
        yield name, tensor


def _held(parameter: nn.Parameter) -> Tensor:
    held: Tensor = getattr(parameter, "ds_tensor", parameter)
    return held.detach()
