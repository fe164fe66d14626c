"""Log-probs of given tokens from hidden states, a chunk of tokens at a time: no more than [K, V] logits ever exist.

On a CPU with a vocabulary of 50,000 every pass over the logits costs as much as a layer of a small model, so there are
as few passes as possible, in place.

Shapes: N completion tokens, K tokens of one chunk, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

Logps = Callable[[Tensor, Tensor], Tensor]
"""Log-probs [K] of targets [K] from hidden states [K, D]."""


def head_logps(
    model: Any, hidden_ND: Tensor, target_N: Tensor, temperature: float, parts: int, *, keep: bool = False
) -> Tensor:
    """Log-probs of the targets under softmax(logits / temperature), float32 [N], in `parts` pieces.

    `hidden_ND` are the states that predict the targets. The backward pass keeps no logits: where the head is frozen it
    uses the gradient by each state from the forward pass, otherwise it recomputes the piece. `keep`, for few tokens,
    keeps a trained head's logits for the backward pass.
    """
    head = model.get_output_embeddings()
    softcap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)

    def logps(hidden_KD: Tensor, target_K: Tensor) -> Tensor:
        logits_KV = head(hidden_KD)
        if softcap is not None:
            logits_KV = torch.tanh(logits_KV.float() / softcap) * softcap
        logp_K: Tensor = _TokenLogps.apply(logits_KV, target_K, temperature)  # type: ignore[no-untyped-call]
        return logp_K

    trained = any(parameter.requires_grad for parameter in head.parameters())

    def piece(hidden_KD: Tensor, target_K: Tensor) -> Tensor:
        if trained and not keep:
            again: Tensor = checkpoint(logps, hidden_KD, target_K, use_reentrant=False)
            return again
        if not trained and torch.is_grad_enabled() and hidden_KD.requires_grad:
            at_once: Tensor = _FrozenHead.apply(hidden_KD, target_K, logps)  # type: ignore[no-untyped-call]
            return at_once
        return logps(hidden_KD, target_K)

    pieces = zip(torch.tensor_split(hidden_ND, parts), torch.tensor_split(target_N, parts), strict=True)
    return torch.cat([piece(hidden, target) for hidden, target in pieces])


class _TokenLogps(torch.autograd.Function):
    """log softmax(logits / temperature) at the targets, in float32, on one copy of the logits.

    Gradient: d logp / d logit_v = (1[v = target] - p_v) / temperature.
    """

    @staticmethod
    def forward(ctx: Any, logits_KV: Tensor, target_K: Tensor, temperature: float) -> Tensor:
        exp_KV = logits_KV.to(torch.float32, copy=True)
        if temperature != 1.0:
            exp_KV.div_(temperature)
        picked_K = exp_KV.gather(-1, target_K[:, None])[:, 0]
        most_K1 = exp_KV.amax(-1, keepdim=True)
        sum_K = exp_KV.sub_(most_K1).exp_().sum(-1)
        ctx.save_for_backward(exp_KV, sum_K, target_K)
        ctx.temperature, ctx.dtype = temperature, logits_KV.dtype
        return picked_K - most_K1[:, 0] - sum_K.log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_K: Tensor) -> tuple[Tensor, None, None]:
        grad_KV, sum_K, target_K = ctx.saved_tensors
        grad_K = grad_K / ctx.temperature
        grad_KV.mul_((-grad_K / sum_K)[:, None])  # in place: there is no second backward pass
        grad_KV.scatter_add_(-1, target_K[:, None], grad_K[:, None])
        return grad_KV.to(ctx.dtype), None, None


class _FrozenHead(torch.autograd.Function):
    """Log-probs of a piece together with their gradients.

    Each log-prob depends only on its own hidden state, so the gradient of their sum holds all of them, and the logits
    need not be recomputed.
    """

    @staticmethod
    def forward(ctx: Any, hidden_KD: Tensor, target_K: Tensor, logps: Logps) -> Tensor:
        with torch.enable_grad():
            leaf_KD = hidden_KD.detach().requires_grad_()
            logp_K = logps(leaf_KD, target_K)
            (slope_KD,) = torch.autograd.grad(logp_K.sum(), leaf_KD)
        ctx.save_for_backward(slope_KD)
        return logp_K.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_K: Tensor) -> tuple[Tensor, None, None]:
        (slope_KD,) = ctx.saved_tensors
        return (slope_KD * grad_K[:, None]).to(slope_KD.dtype), None, None
