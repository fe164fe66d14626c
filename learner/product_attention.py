"""Attention as whole matrix products: for bfloat16 on a CPU, where they are faster than SDPA's blocks.

SDPA's CPU kernel multiplies small blocks through BLAS, whole products go to oneDNN (`python -m bench.learner_step`
compares the two). As in SDPA no score outlives the forward pass: the backward pass computes them again, a few heads at
a time. Scores are rounded to bfloat16 before the softmax, which is computed in float32. Only bfloat16 gained.

Shapes: B heads of all branches, Z of them at a time, R query rows, T keys, D head size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_SCORES = 300_000
"""About how many scores exist at a time, so that they stay in a core's cache."""


def products_are_faster(query: Tensor) -> bool:
    """Whether `ProductAttention` is for this tensor's device and dtype."""
    return (
        query.dtype == torch.bfloat16
        and query.device.type == "cpu"
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


class ProductAttention(torch.autograd.Function):
    """softmax(scale q k^T + mask) v; the mask is 0 or minus infinity and has no gradient.

    Gradients, with p the probabilities and g by the output: by v  p^T g; by q  scale s k; by k  scale s^T q, where
    s = p (g v^T - rowsum(p g v^T)) is the one by the scores.
    """

    @staticmethod
    def forward(ctx: Any, q_BRD: Tensor, k_BTD: Tensor, v_BTD: Tensor, mask_1RT: Tensor, scale: float) -> Tensor:
        """[B, R, D]."""
        ctx.save_for_backward(q_BRD, k_BTD, v_BTD, mask_1RT)
        ctx.scale = scale
        pieces = _pieces(mask_1RT, q_BRD, k_BTD, v_BTD)
        return torch.cat([_probabilities(q, k, mask_1RT, scale) @ v for q, k, v in pieces])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BRD: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """[B, R, D] -> the gradients by query, key and value."""
        q_BRD, k_BTD, v_BTD, mask_1RT = ctx.saved_tensors
        by_q, by_k, by_v = [], [], []
        for q_ZRD, k_ZTD, v_ZTD, grad_ZRD in _pieces(mask_1RT, q_BRD, k_BTD, v_BTD, grad_BRD):
            p_ZRT = _probabilities(q_ZRD, k_ZTD, mask_1RT, ctx.scale)
            by_v.append(p_ZRT.transpose(1, 2) @ grad_ZRD)
            by_p_ZRT = grad_ZRD @ v_ZTD.transpose(1, 2)
            by_score_ZRT = torch.ops.aten._softmax_backward_data(by_p_ZRT, p_ZRT, -1, p_ZRT.dtype)
            by_q.append(by_score_ZRT @ k_ZTD)
            by_k.append(by_score_ZRT.transpose(1, 2) @ q_ZRD)
        return torch.cat(by_q).mul_(ctx.scale), torch.cat(by_k).mul_(ctx.scale), torch.cat(by_v), None, None


def product_attention(
    query_nKRD: Tensor, key_nKTD: Tensor, value_nKTD: Tensor, mask_11RT: Tensor, scale: float | None
) -> Tensor:
    """What `scaled_dot_product_attention` returns, [n, K, R, D]."""
    flat = (tensor.flatten(0, 1) for tensor in (query_nKRD, key_nKTD, value_nKTD))
    scale = query_nKRD.shape[-1] ** -0.5 if scale is None else scale
    attended_BRD: Tensor = ProductAttention.apply(*flat, mask_11RT[0], scale)  # type: ignore[no-untyped-call]
    return attended_BRD.view(query_nKRD.shape)


def _pieces(mask_1RT: Tensor, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    heads = max(1, _SCORES // mask_1RT.numel())
    return zip(*(tensor.split(heads) for tensor in tensors), strict=True)  # type: ignore[no-untyped-call]


def _probabilities(q_ZRD: Tensor, k_ZTD: Tensor, mask_1RT: Tensor, scale: float) -> Tensor:
    return torch.baddbmm(mask_1RT, q_ZRD, k_ZTD.transpose(1, 2), alpha=scale).softmax(-1)
