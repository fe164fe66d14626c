"""Attention as whole products against SDPA in float32, and the layer that chooses between the two."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from learner import attention, product_attention
from learner.batch import pack_row
from learner.product_attention import ProductAttention, products_are_faster
from tests.learner.test_attention import assert_equals_dense

SIZE = 8


def drawn(heads: int, queries: int, keys: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Query, key, value of [1, heads, ...] with gradients, the mask, and a gradient of the output."""
    generator = torch.Generator().manual_seed(0)

    def normal(length: int) -> Tensor:
        return torch.randn((1, heads, length, SIZE), generator=generator).to(dtype)

    tensors = [normal(length).requires_grad_() for length in (queries, keys, keys)]
    hidden = torch.rand((1, 1, queries, keys), generator=generator) < 0.3
    hidden[..., 0] = False  # something is always seen
    mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill(hidden, float("-inf"))
    return (*tensors, mask, normal(queries))


@given(
    heads=st.integers(1, 5),
    queries=st.integers(1, 9),
    keys=st.integers(1, 9),
    scale=st.none() | st.floats(0.1, 1.0),
    scores=st.sampled_from([1, 20, 300_000]),
)
def test_it_equals_sdpa_with_its_gradients_however_it_is_cut(
    heads: int, queries: int, keys: int, scale: float | None, scores: int
) -> None:
    mine, theirs = (drawn(heads, queries, keys, torch.float32) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product_attention, "_SCORES", scores)
        output = product_attention.product_attention(*mine[:4], scale)
        output.backward(mine[4])
    expected = functional.scaled_dot_product_attention(*theirs[:3], attn_mask=theirs[3], scale=scale)
    expected.backward(theirs[4])
    torch.testing.assert_close(output, expected)
    for own, other in zip(mine[:3], theirs[:3], strict=True):
        torch.testing.assert_close(own.grad, other.grad)


def test_its_gradients_are_those_of_finite_differences() -> None:
    query, key, value, mask, _ = drawn(2, 3, 4, torch.float64)
    flat = [tensor[0].detach().requires_grad_() for tensor in (query, key, value)]
    assert torch.autograd.gradcheck(lambda *t: ProductAttention.apply(*t, mask[0], 0.4), flat)


def test_in_bfloat16_it_is_as_close_to_float32_as_sdpa() -> None:
    exact = drawn(6, 40, 90, torch.float32)
    expected = functional.scaled_dot_product_attention(*exact[:3], attn_mask=exact[3])
    query, key, value, mask, _ = (tensor.detach().bfloat16() for tensor in exact)
    theirs = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    mine = product_attention.product_attention(query, key, value, mask, None)
    ours, others = ((output.float() - expected).abs().mean() for output in (mine, theirs))
    assert ours < 2 * others


def test_only_bfloat16_on_a_cpu_is_multiplied_whole() -> None:
    assert not products_are_faster(torch.zeros(1))
    assert not products_are_faster(torch.zeros(1, dtype=torch.bfloat16, device="meta"))
    one = torch.zeros(1, dtype=torch.bfloat16)
    assert products_are_faster(one) == torch.ops.mkldnn._is_mkldnn_bf16_supported()


@pytest.mark.parametrize("window", [None, 3])
def test_a_packed_row_of_whole_products_equals_a_dense_mask(
    window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "products_are_faster", lambda _query: True)
    assert_equals_dense(pack_row([1, 2, 3], [[5] * length for length in (1, 9, 2, 4)]), window)
