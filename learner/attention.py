"""Attention over a packed row: the shared tokens look at themselves, a prompt's own tokens at these and themselves, and
every branch at its prompt and itself.

One dense [S, S] mask would give the same numbers, but its kernel works through every pair of the row, and most pairs
are of two different branches, which never see each other. Here the branches of a prompt are one batched call of n rows,
so the pairs computed are P^2 / 2 + n * L * (P + L) instead of S^2, or a few such calls where their lengths differ much.
In every call the G query heads that share a key head are laid one after another as rows, so that no key or value is
repeated for them. What these rows see is added to their scores, 0 or minus infinity in the queries' dtype, and laid out
once for all layers: autograd would keep a copy of it for each.

Shapes: S packed positions, C shared tokens, R own tokens of a prompt of P = C + R, n branches of it, L the longest one,
M tokens of the branches, Q those of one call, T = P + L, H heads (K for keys and values, G = H / K), D head size, and
B is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from learner.batch import Fork, Row
from learner.product_attention import product_attention, products_are_faster

WORTH_A_CALL = 0.2
"""Share of a batch's padded tokens that a second call must save."""

NAME = "packed_sdpa"
"""What `register` calls this attention. Without `packing` in the call it is plain SDPA."""


def register() -> str:
    """Make transformers know this attention; returns the name to load a model with, as `attn_implementation`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


@dataclass(frozen=True)
class BranchBatch:
    """Branches of similar length that are attended in one call, and who sees whom, keyed by the sliding window."""

    place_nL: Tensor  # int64; the index in M of each branch's tokens, its last one repeated as padding
    slot_Q: Tensor  # int64; the place in the flattened [n * L] of each of their Q tokens
    mask: dict[int | None, Tensor]  # [1, 1, G * L, P + L]


@dataclass(frozen=True)
class ForkPacking:
    """Where the tokens of one prompt's branches are."""

    mask: dict[int | None, Tensor]  # [1, 1, G * R, P]; what the prompt's own tokens see
    batches: tuple[BranchBatch, ...]
    order_M: Tensor | None  # int64; where the token is among those of all batches; None where one batch holds all


@dataclass(frozen=True)
class Packing:
    """A row's shared tokens, and the prompts that begin with them."""

    lengths: tuple[int, ...]  # C, then R and M of each prompt; they add up to S
    mask: dict[int | None, Tensor]  # [1, 1, G * C, C]; what the shared tokens see
    forks: tuple[ForkPacking, ...]


@dataclass(frozen=True)
class _Masks:
    """Makes a row's masks for a model's layers."""

    windows: frozenset[int | None]  # of the layers
    group: int  # G
    dtype: torch.dtype
    device: torch.device

    def __call__(self, before: int, queries: int) -> dict[int | None, Tensor]:
        """What `queries` positions after `before` ones see, by window; windows that hide nothing share one mask."""
        whole = self._mask(before, queries, None)
        return {
            window: whole if window is None or window >= before + queries else self._mask(before, queries, window)
            for window in self.windows
        }

    def _mask(self, before: int, queries: int, window: int | None) -> Tensor:
        return _additive(_visible(before, queries, window, self.device), self.dtype).repeat(1, 1, self.group, 1)


def packing_of(row: Row, config: Any, dtype: torch.dtype) -> Packing:
    """The packing of a row for a model's layers, on the row's device; `dtype` is that of their queries.

    The window of a sliding layer is a distance of positions, not of packed indices.
    """
    text = config.get_text_config()
    windows = frozenset({None, getattr(text, "sliding_window", None)})
    shared = row.ids_S.numel() - int(row.length_n.sum()) - sum(fork.own for fork in row.forks)
    device = row.ids_S.device
    masks = _Masks(windows, text.num_attention_heads // text.num_key_value_heads, dtype, device)
    return Packing(
        lengths=(shared, *(length for fork in row.forks for length in (fork.own, int(fork.length_n.sum())))),
        mask=masks(0, shared),
        forks=tuple(_fork_packing(fork, shared, masks) for fork in row.forks),
    )


def _fork_packing(fork: Fork, shared: int, masks: _Masks) -> ForkPacking:
    prompt = shared + fork.own
    first_n = fork.length_n.cumsum(0) - fork.length_n
    chosen = [torch.tensor(batch, device=masks.device) for batch in similar(fork.length_n.tolist())]
    batches = tuple(_branch_batch(first_n[at], fork.length_n[at], prompt, masks) for at in chosen)
    places = [batch.place_nL.flatten()[batch.slot_Q] for batch in batches]
    return ForkPacking(
        mask=masks(shared, fork.own),
        batches=batches,
        order_M=torch.cat(places).argsort() if len(batches) > 1 else None,
    )


def similar(lengths: Sequence[int]) -> list[list[int]]:
    """Which branches to attend together, so that padding them to the longest of their batch costs little.

    Sorted by length they are cut wherever that saves `WORTH_A_CALL` of the padded tokens. What is left uncut has fewer
    than 2.1 times its tokens, so memory grows with a row's tokens, not with branches times the longest one.
    """
    return [sorted(batch) for batch in _cut(lengths, sorted(range(len(lengths)), key=lambda at: -lengths[at]))]


def _cut(lengths: Sequence[int], order: list[int]) -> list[list[int]]:
    longest = lengths[order[0]]
    savings = [(len(order) - at) * (longest - lengths[order[at]]) for at in range(len(order))]
    most = max(savings)
    if most < WORTH_A_CALL * len(order) * longest:
        return [order]
    at = savings.index(most)
    return _cut(lengths, order[:at]) + _cut(lengths, order[at:])


def _branch_batch(first_n: Tensor, length_n: Tensor, prompt: int, masks: _Masks) -> BranchBatch:
    longest = int(length_n.max())
    step_L = torch.arange(longest, device=length_n.device)
    inside_nL = torch.minimum(step_L[None, :], length_n[:, None] - 1)
    return BranchBatch(
        place_nL=first_n[:, None] + inside_nL,
        slot_Q=(step_L[None, :] < length_n[:, None]).flatten().nonzero()[:, 0],
        mask=masks(prompt, longest),
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
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    tensors = (query_BHSD, key_BHSD, value_BHSD)
    if packing is None:
        attended: tuple[Tensor, None] = sdpa_attention_forward(
            module, *tensors, attention_mask, sliding_window=sliding_window, **kwargs
        )
        return attended
    # Split, not sliced: the gradient of a slice is a whole tensor of zeros with the slice in it.
    split = (tensor.split(packing.lengths, 2) for tensor in tensors)  # type: ignore[no-untyped-call]
    shared, *others = zip(*split, strict=True)
    scaling = kwargs.get("scaling")
    pieces = []
    if shared[0].shape[2]:
        query_BHCD, key_BKCD, value_BKCD = shared
        causal = packing.mask[sliding_window]
        pieces.append(_grouped(query_BHCD, key_BKCD, value_BKCD, causal, scaling).transpose(1, 2))
    for fork, own, branches in zip(packing.forks, others[::2], others[1::2], strict=True):
        own_mask = fork.mask[sliding_window]
        keys_values = shared[1:]
        if own[0].shape[2]:
            keys_values = tuple(torch.cat(pair, 2) for pair in zip(keys_values, own[1:], strict=True))
            key_BKPD, value_BKPD = keys_values
            pieces.append(_grouped(own[0], key_BKPD, value_BKPD, own_mask, scaling).transpose(1, 2))
        pieces.append(_attend_branches(fork, branches, keys_values, sliding_window, scaling))
    return torch.cat(pieces, 1), None


def _attend_branches(
    fork: ForkPacking,
    branches: tuple[Tensor, ...],
    prompt_BKPD: tuple[Tensor, ...],
    window: int | None,
    scaling: float | None,
) -> Tensor:
    """Attention of the branches of one prompt, [B, M, H, D], given their queries, keys and values [B, H, M, D]."""
    attended = []
    for batch in fork.batches:
        query_nHLD, *own_nKLD = (_rows(tensor, batch) for tensor in branches)
        key_nKTD, value_nKTD = (_after(prompt, own) for prompt, own in zip(prompt_BKPD, own_nKLD, strict=True))
        branch_nHLD = _grouped(query_nHLD, key_nKTD, value_nKTD, batch.mask[window], scaling)
        attended.append(branch_nHLD.transpose(1, 2).flatten(0, 1)[batch.slot_Q])
    if fork.order_M is None:
        return attended[0][None]
    return torch.cat(attended)[fork.order_M][None]


def _grouped(query_nHLD: Tensor, key_nKTD: Tensor, value_nKTD: Tensor, mask: Tensor, scaling: float | None) -> Tensor:
    """Attention of n rows over T = P + L keys, [n, H, L, D]."""
    rows, heads, length, size = query_nHLD.shape
    query_nKRD = query_nHLD.reshape(rows, key_nKTD.shape[1], -1, size)  # R = G * L
    if products_are_faster(query_nKRD):
        attended_nKRD = product_attention(query_nKRD, key_nKTD, value_nKTD, mask, scaling)
    else:
        attended_nKRD = functional.scaled_dot_product_attention(
            query_nKRD, key_nKTD, value_nKTD, attn_mask=mask, scale=scaling
        )
    return attended_nKRD.reshape(rows, heads, length, size)


def _rows(tensor_BHMD: Tensor, batch: BranchBatch) -> Tensor:
    """The branches as one row each, [n, H, L, D]."""
    return tensor_BHMD[0][:, batch.place_nL].transpose(0, 1)


def _after(prompt_BHPD: Tensor, own_nHLD: Tensor) -> Tensor:
    """The prompt's keys or values before each branch's own, [n, H, P + L, D]."""
    return torch.cat([prompt_BHPD.expand(own_nHLD.shape[0], -1, -1, -1), own_nHLD], 2)


def _visible(before: int, queries: int, window: int | None, device: torch.device) -> Tensor:
    """What queries at the positions after `before` ones see of all, bool [1, 1, queries, before + queries]."""
    position = torch.arange(before + queries, device=device)
    distance = position[before:, None] - position[None, :]
    seen = distance >= 0
    if window is not None:
        seen &= distance < window
    return seen[None, None]


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))
