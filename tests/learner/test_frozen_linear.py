"""Packed frozen linear maps against torch's and peft's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from learner.frozen_linear import can_pack, pack_linear

sizes = st.integers(1, 40)


def layers(inputs: int, outputs: int, bias: bool, rank: int = 4) -> tuple[Any, Any]:
    """The same layer with LoRA that matters, packed and as peft computes it."""
    from peft import LoraConfig
    from peft.tuners import lora

    from learner.packed_lora import PackedLora

    made = []
    for kind in (PackedLora, lora.Linear):
        torch.manual_seed(0)
        layer = kind(
            nn.Linear(inputs, outputs, bias=bias).requires_grad_(False),
            "default",
            LoraConfig(r=rank, lora_alpha=3 * rank),
            r=rank,
            lora_alpha=3 * rank,
        )
        nn.init.normal_(layer.lora_B["default"].weight, std=0.5)
        made.append(layer)
    packed, plain = made
    packed.pack()
    return packed, plain


def outcome(layer: nn.Module, rows: int, inputs: int) -> list[Tensor]:
    """Output, gradient by the input, and gradients of the LoRA matrices where they are in use."""
    x = torch.randn(2, rows, inputs, generator=torch.Generator().manual_seed(1)).requires_grad_()
    y = layer(x)
    (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
    assert x.grad is not None
    return [y.detach(), x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]


@settings(max_examples=40, deadline=None)
@given(rows=sizes, inputs=sizes, outputs=sizes, bias=st.booleans(), adapters=st.booleans())
def test_packed_lora_computes_what_peft_does_with_the_same_gradients(
    rows: int, inputs: int, outputs: int, bias: bool, adapters: bool
) -> None:
    packed, plain = layers(inputs, outputs, bias)
    for layer in (packed, plain):
        layer.enable_adapters(adapters)
    for ours, theirs in zip(outcome(packed, rows, inputs), outcome(plain, rows, inputs), strict=True):
        largest = float(theirs.abs().max())  # rounding follows the terms of a sum, not the sum
        torch.testing.assert_close(ours, theirs, atol=1e-5 * max(1.0, largest), rtol=1e-4)


def test_the_adapter_that_is_active_is_the_one_that_computes() -> None:
    from peft import LoraConfig

    packed, plain = layers(8, 6, bias=False)
    for layer in (packed, plain):
        layer.update_layer("scribe", 4, lora_alpha=8, config=LoraConfig(r=4, lora_alpha=8))
        nn.init.ones_(layer.lora_B["scribe"].weight)
        nn.init.ones_(layer.lora_A["scribe"].weight)
    before = packed(torch.ones(1, 8))
    for layer in (packed, plain):
        layer.set_adapter("scribe")
    torch.testing.assert_close(packed(torch.ones(1, 8)), plain(torch.ones(1, 8)))
    assert not torch.allclose(packed(torch.ones(1, 8)), before)


def test_a_packed_layer_of_its_own_computes_what_it_did() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(7, 11).requires_grad_(False)
    expected = outcome(layer, 3, 7)
    pack_linear(layer)
    for ours, theirs in zip(outcome(layer, 3, 7), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_layer_that_is_trained_is_not_packed() -> None:
    with pytest.raises(AssertionError):
        pack_linear(nn.Linear(2, 2))


def test_float32_is_packed_and_float16_is_not() -> None:
    assert can_pack(torch.zeros(2, 2))
    assert not can_pack(torch.zeros(2, 2, dtype=torch.float16))
