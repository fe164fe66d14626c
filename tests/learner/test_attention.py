"""Packed attention against one dense mask over the whole row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from learner.attention import packed_attention, packing_of
from learner.batch import Row, pack_row

HEADS, KEY_HEADS, SIZE = 4, 2, 8
SCALING = 0.3  # not the default, as in Gemma
tokens = st.lists(st.integers(0, 99), min_size=1, max_size=7)
branches = st.lists(tokens, min_size=1, max_size=5)


class Config(SimpleNamespace):
    """As much of a Hugging Face config as the packing reads."""

    def get_text_config(self) -> Any:
        return self


class Layer(nn.Module):
    """As much of an attention layer as SDPA reads."""

    num_key_value_groups = HEADS // KEY_HEADS
    is_causal = True


def drawn(row: Row) -> list[Tensor]:
    """Query, key and value of the row, each of one seed, with gradients."""
    generator = torch.Generator().manual_seed(0)
    length = row.ids_S.numel()
    shapes = [(1, heads, length, SIZE) for heads in (HEADS, KEY_HEADS, KEY_HEADS)]
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def dense(row: Row, tensors: list[Tensor], window: int | None) -> Tensor:
    """Every pair of the row, the forbidden ones masked away: written from the definition, pair by pair."""
    lengths = row.length_n.tolist()
    segment = [0] * (row.ids_S.numel() - sum(lengths)) + [
        i + 1 for i, length in enumerate(lengths) for _ in range(length)
    ]
    position = row.positions_S.tolist()
    seen = [
        [k <= q and segment[k] in (0, segment[q]) and (window is None or position[q] - position[k] < window)
         for k in range(len(segment))]
        for q in range(len(segment))
    ]  # fmt: skip
    query, key, value = tensors
    key, value = (tensor.repeat_interleave(HEADS // KEY_HEADS, 1) for tensor in (key, value))
    scores = query @ key.transpose(-1, -2) * SCALING
    scores = scores.masked_fill(~torch.tensor(seen), float("-inf"))
    return (scores.softmax(-1) @ value).transpose(1, 2)


@settings(max_examples=60)
@given(prompt=tokens | st.just([]), branches=branches, window=st.none() | st.integers(1, 9))
def test_it_equals_a_dense_mask_over_the_whole_row_with_its_gradients(
    prompt: list[int], branches: list[list[int]], window: int | None
) -> None:
    row = pack_row(prompt, branches)
    mine, theirs = drawn(row), drawn(row)
    packing = packing_of(row, Config(sliding_window=window))
    output, _ = packed_attention(Layer(), *mine, None, packing=packing, sliding_window=window, scaling=SCALING)
    expected = dense(row, theirs, window)
    torch.testing.assert_close(output, expected)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    for ours, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(ours.grad, other.grad, atol=2e-5, rtol=1e-4)


def test_a_model_with_a_window_has_layers_with_and_without_it() -> None:
    row = pack_row([1, 2, 3], [[4], [5, 6]])
    assert set(packing_of(row, Config(sliding_window=2)).visible) == {None, 2}
    assert set(packing_of(row, Config()).visible) == {None}


def test_without_a_packing_it_is_plain_causal_attention() -> None:
    row = pack_row([1, 2, 3, 4], [[5]])
    tensors = drawn(row)
    output, _ = packed_attention(Layer(), *tensors, None, scaling=SCALING)
    torch.testing.assert_close(output, dense(row, tensors, None))
