"""Linear layers whose weight never changes, and LoRA on top of them, on a CPU.

torch's BLAS repacks the weight at every multiplication. A frozen weight is packed once, by oneDNN, for both
directions: x W^T forward and y W for the gradient by x. LoRA is added into the result in place; peft's way passes
three more times over each output.

The weight itself is kept for merging and publishing, so the two packed copies take twice its memory in addition.

Shapes: S rows, I inputs, O outputs, R the LoRA rank.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_ROWS = 512  # rows for which oneDNN chooses the layout; any number of rows works


def can_pack(weight: Tensor) -> bool:
    """Whether oneDNN computes in the weight's dtype on this processor."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return weight.dtype == torch.float32 or (
        weight.dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


class PackedWeight:
    """A frozen weight [O, I] in oneDNN's layout. `can_pack` must hold."""

    def __init__(self, weight_OI: Tensor) -> None:
        weight_OI = weight_OI.detach()
        self._forward = torch.ops.mkldnn._reorder_linear_weight(weight_OI, _ROWS)
        self._backward = torch.ops.mkldnn._reorder_linear_weight(weight_OI.t().contiguous(), _ROWS)

    def outputs(self, x_SI: Tensor, bias_O: Tensor | None = None) -> Tensor:
        """x W^T + bias, [S, O]."""
        return _multiply(x_SI, self._forward, bias_O)

    def inputs_gradient(self, grad_SO: Tensor) -> Tensor:
        """y W, [S, I]."""
        return _multiply(grad_SO, self._backward, None)


def _multiply(rows: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows.contiguous(), packed, bias, "none", [], "")
    return product


class PackedLinear(nn.Linear):
    """A frozen nn.Linear that computes from a packed copy of its weight. Made by `pack_linear`."""

    packed: PackedWeight

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] -> [..., O]."""
        rows: Tensor = Frozen.apply(x.flatten(0, -2), self.packed, self.bias)  # type: ignore[no-untyped-call]
        return rows.reshape(*x.shape[:-1], rows.shape[-1])


def pack_linear(layer: nn.Linear) -> None:
    """Make a frozen layer compute from a packed copy of its weight, which must not change any more."""
    assert not layer.weight.requires_grad
    layer.__class__ = PackedLinear
    assert isinstance(layer, PackedLinear)
    layer.packed = PackedWeight(layer.weight)


class Frozen(torch.autograd.Function):
    """x W^T + bias, with the gradient by x alone."""

    @staticmethod
    def forward(ctx: Any, x_SI: Tensor, packed: PackedWeight, bias_O: Tensor | None) -> Tensor:
        """[S, I] -> [S, O]."""
        ctx.packed = packed
        return packed.outputs(x_SI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_SO: Tensor) -> tuple[Tensor, None, None]:
        """[S, O] -> [S, I]."""
        return ctx.packed.inputs_gradient(grad_SO), None, None


class LoraOnFrozen(torch.autograd.Function):
    """y = x W^T + s (x A^T) B^T + bias (Hu et al., arXiv 2106.09685, equation 3), with s = alpha / R.

    Gradients, with g by y: by x  g W + s (g B) A;  by A  s (g B)^T x;  by B  s g^T (x A^T).
    """

    @staticmethod
    def forward(
        ctx: Any, x_SI: Tensor, a_RI: Tensor, b_OR: Tensor, scale: float, packed: PackedWeight, bias_O: Tensor | None
    ) -> Tensor:
        """[S, I] -> [S, O]; `scale` is alpha / R."""
        low_SR = functional.linear(x_SI, a_RI)
        y_SO = packed.outputs(x_SI, bias_O)
        y_SO.addmm_(low_SR, b_OR.t(), alpha=scale)
        ctx.save_for_backward(x_SI, a_RI, b_OR, low_SR)
        ctx.scale, ctx.packed = scale, packed
        return y_SO

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_SO: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None, None]:
        """[S, O] -> the gradients by x, A and B."""
        x_SI, a_RI, b_OR, low_SR = ctx.saved_tensors
        grad_low_SR = (grad_SO @ b_OR).mul_(ctx.scale)
        grad_a_RI = grad_low_SR.t() @ x_SI
        grad_b_OR = (grad_SO.t() @ low_SR).mul_(ctx.scale)
        grad_x_SI = None
        if ctx.needs_input_grad[0]:
            grad_x_SI = ctx.packed.inputs_gradient(grad_SO).addmm_(grad_low_SR, a_RI)
        return grad_x_SI, grad_a_RI, grad_b_OR, None, None, None
