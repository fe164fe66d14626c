"""Attention over a packed row: the prompt looks at itself, every branch at the prompt and at itself.

One dense [S, S] mask would give the same numbers, but its kernel works through every pair of the row, and most pairs
are of two different branches, which never see each other. Here the prompt is one causal call and the branches are one
batched call of n rows, so the pairs computed are P^2 / 2 + n * L * (P + L) instead of S^2. There the G query heads that
share a key head are laid one after another as G * L rows, so that no key or value is repeated for them.

Shapes: S packed positions, P prompt tokens, n branches, L the longest one, M = S - P branch tokens, H heads (K for
keys and values, G = H / K), D head size. B is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from learner.batch import Row

NAME = "packed_sdpa"
"""What a model is loaded with as `attn_implementation`. Without `packing` in the call it is plain SDPA."""


@dataclass(frozen=True)
class Packing:
    """Where the branches stand in a row, and who sees whom. `visible` is keyed by the layer's sliding window."""

    prompt: int  # P
    place_nL: Tensor  # int64; the index in S of each branch's tokens, its last one repeated as padding
    slot_M: Tensor  # int64; the place of each branch token in the flattened [n * L]
    visible: dict[int | None, tuple[Tensor | None, Tensor]]  # bool [1, 1, P, P] (None: causal), [1, 1, L, P + L]


def packing_of(row: Row, config: Any) -> Packing:
    """The packing of a row for a model's layers, on the row's device.

    The window of a sliding layer is a distance of positions, not of packed indices.
    """
    length_n = row.length_n
    prompt = row.ids_S.numel() - int(length_n.sum())
    longest = int(length_n.max())
    first_n = length_n.cumsum(0) - length_n
    step_L = torch.arange(longest, device=length_n.device)
    inside_nL = torch.minimum(step_L[None, :], length_n[:, None] - 1)
    windows = {None, getattr(config.get_text_config(), "sliding_window", None)}
    return Packing(
        prompt=prompt,
        place_nL=prompt + first_n[:, None] + inside_nL,
        slot_M=(step_L[None, :] < length_n[:, None]).flatten().nonzero()[:, 0],
        visible={window: _visible(prompt, longest, window, length_n.device) for window in windows},
    )


def packed_attention(
    module: nn.Module,
    query_BHSD: Tensor,
    key_BHSD: Tensor,
    value_BHSD: Tensor,
    attention_mask: Tensor | None,
    packing: Packing | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function; returns ([B, S, H, D], None)."""
    tensors = (query_BHSD, key_BHSD, value_BHSD)
    if packing is None:
        attended: tuple[Tensor, None] = sdpa_attention_forward(
            module, *tensors, attention_mask, sliding_window=sliding_window, **kwargs
        )
        return attended
    prompt_mask, branch_mask = packing.visible[sliding_window]
    query_BHPD, key_BHPD, value_BHPD = (tensor[:, :, : packing.prompt] for tensor in tensors)
    prompt_BPHD, _ = sdpa_attention_forward(module, query_BHPD, key_BHPD, value_BHPD, prompt_mask, **kwargs)
    query_nHLD, key_nHLD, value_nHLD = (_rows(tensor, packing) for tensor in tensors)
    branch_nHLD = _grouped(
        query_nHLD,
        _after(key_BHPD, key_nHLD),
        _after(value_BHPD, value_nHLD),
        branch_mask,
        kwargs.get("scaling"),
    )
    branch_MHD = branch_nHLD.transpose(1, 2).flatten(0, 1)[packing.slot_M]
    return torch.cat([prompt_BPHD, branch_MHD[None]], 1), None


def _grouped(query_nHLD: Tensor, key_nKTD: Tensor, value_nKTD: Tensor, mask: Tensor, scaling: float | None) -> Tensor:
    """SDPA of n rows over T = P + L keys, [n, H, L, D]."""
    rows, heads, length, size = query_nHLD.shape
    kept = key_nKTD.shape[1]
    attended_nKRD = functional.scaled_dot_product_attention(  # R = G * L
        query_nHLD.reshape(rows, kept, -1, size),
        key_nKTD,
        value_nKTD,
        attn_mask=mask.repeat(1, 1, heads // kept, 1),
        scale=scaling,
    )
    return attended_nKRD.reshape(rows, heads, length, size)


def _rows(tensor_BHSD: Tensor, packing: Packing) -> Tensor:
    """The branches' part as one row each, [n, H, L, D]."""
    return tensor_BHSD[0][:, packing.place_nL].transpose(0, 1)


def _after(prompt_BHPD: Tensor, own_nHLD: Tensor) -> Tensor:
    """The prompt's keys or values before each branch's own, [n, H, P + L, D]."""
    return torch.cat([prompt_BHPD.expand(own_nHLD.shape[0], -1, -1, -1), own_nHLD], 2)


def _visible(prompt: int, longest: int, window: int | None, device: torch.device) -> tuple[Tensor | None, Tensor]:
    position = torch.arange(prompt + longest, device=device)
    distance = position[:, None] - position[None, :]
    seen = distance >= 0
    if window is not None:
        seen &= distance < window
    plain = window is None or window >= prompt
    return None if plain else seen[None, None, :prompt, :prompt], seen[None, None, prompt:]


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
