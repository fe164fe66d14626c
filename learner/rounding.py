"""Rounding merged weights so that small updates are not lost.

A base weight is exactly a bfloat16 number, and what a few LoRA steps add to it is mostly less than half of bfloat16's
spacing: rounding to nearest gives the base weight again, and the engines sample from (nearly) the policy before those
steps. Stochastic rounding keeps the update on average; `python -m bench.rounding RUN` measures how much is kept.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

_DROPPED = 16  # low bits of a float32 that bfloat16 lacks
_LENGTH = 1_000_003  # a prime, so that rows of a matrix don't line up with the repeats


def to_bfloat16(tensor: Tensor) -> Tensor:
    """`tensor` (float32) as bfloat16, each element up or down with the probability that keeps its mean.

    The draw depends only on an element's index, so equal weights always round to equal bytes.
    """
    assert tensor.dtype == torch.float32, tensor.dtype
    bits = tensor.contiguous().view(torch.int32).flatten()
    draws, repeats = _draws(str(tensor.device)), -(-bits.numel() // _LENGTH)
    draws = (draws.repeat(repeats) if repeats > 1 else draws)[: bits.numel()]
    kept = (bits + draws).bitwise_right_shift_(_DROPPED).to(torch.int16)
    return kept.view(torch.bfloat16).view(tensor.shape)


@cache
def _draws(device: str) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1 << _DROPPED, (_LENGTH,), generator=generator, dtype=torch.int32).to(device)
