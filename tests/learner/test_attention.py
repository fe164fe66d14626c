"""Packed attention against one dense mask over the whole row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from learner.attention import packed_attention, packing_of, similar
from learner.batch import Row, pack, pack_row, shared_row
from tests.learner.groups import group

HEADS, KEY_HEADS, SIZE = 4, 2, 8
SCALING = 0.3  # not the default, as in Gemma
tokens = st.lists(st.integers(0, 99), min_size=1, max_size=7)
branches = st.lists(tokens, min_size=1, max_size=5)


class Config(SimpleNamespace):
    """As much of a Hugging Face config as the packing reads."""

    num_attention_heads, num_key_value_heads = HEADS, KEY_HEADS

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


def paths(row: Row) -> list[tuple[int, ...]]:
    """Of each token: () where it is shared, (prompt,) where it is a prompt's own, (prompt, branch) in a branch."""
    own: list[tuple[int, ...]] = []
    for prompt, fork in enumerate(row.forks):
        own += [(prompt,)] * fork.own
        own += [(prompt, branch) for branch, length in enumerate(fork.length_n.tolist()) for _ in range(length)]
    return [()] * (row.ids_S.numel() - len(own)) + own


def dense(row: Row, tensors: list[Tensor], window: int | None) -> Tensor:
    """Every pair of the row, the forbidden ones masked away: written from the definition, pair by pair."""
    path = paths(row)
    position = row.positions_S.tolist()
    seen = [
        [k <= q and path[k] == path[q][: len(path[k])] and (window is None or position[q] - position[k] < window)
         for k in range(len(path))]
        for q in range(len(path))
    ]  # fmt: skip
    query, key, value = tensors
    key, value = (tensor.repeat_interleave(HEADS // KEY_HEADS, 1) for tensor in (key, value))
    scores = query @ key.transpose(-1, -2) * SCALING
    scores = scores.masked_fill(~torch.tensor(seen), float("-inf"))
    return (scores.softmax(-1) @ value).transpose(1, 2)


def assert_equals_dense(row: Row, window: int | None) -> None:
    mine, theirs = drawn(row), drawn(row)
    packing = packing_of(row, Config(sliding_window=window), torch.float32)
    output, _ = packed_attention(Layer(), *mine, None, packing=packing, sliding_window=window, scaling=SCALING)
    expected = dense(row, theirs, window)
    torch.testing.assert_close(output, expected)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    for ours, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(ours.grad, other.grad, atol=2e-5, rtol=1e-4)


@given(prompt=tokens | st.just([]), branches=branches, window=st.none() | st.integers(1, 9))
def test_it_equals_a_dense_mask_over_the_whole_row_with_its_gradients(
    prompt: list[int], branches: list[list[int]], window: int | None
) -> None:
    assert_equals_dense(pack_row(prompt, branches), window)


@given(
    shared=tokens | st.just([]),
    groups=st.lists(st.tuples(tokens, branches), min_size=1, max_size=3),
    window=st.none() | st.integers(1, 9),
)
def test_groups_that_share_a_row_equal_a_dense_mask_too(
    shared: list[int], groups: list[tuple[list[int], list[list[int]]]], window: int | None
) -> None:
    assert_equals_dense(shared_row([pack(group(shared + own, completions)) for own, completions in groups]), window)


@pytest.mark.parametrize("window", [None, 5])
def test_branches_of_very_different_length_are_attended_in_batches_and_equal_a_dense_mask(window: int | None) -> None:
    row = pack_row([1, 2, 3], [[5] * length for length in (1, 30, 2, 3, 1, 17)])
    (fork,) = packing_of(row, Config(), torch.float32).forks
    assert [batch.place_nL.shape for batch in fork.batches] == [(1, 30), (1, 17), (2, 3), (2, 1)]
    assert_equals_dense(row, window)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20))
def test_padding_hardly_doubles_the_tokens_of_the_branches(lengths: list[int]) -> None:
    batches = similar(lengths)
    assert sorted(at for batch in batches for at in batch) == list(range(len(lengths)))
    assert sum(len(batch) * max(lengths[at] for at in batch) for batch in batches) <= 2.1 * sum(lengths)


def test_branches_that_differ_little_are_attended_together() -> None:
    assert similar([30, 31, 29, 28]) == [[0, 1, 2, 3]]
    assert similar([96, 30, 31, 96]) == [[0, 3], [1, 2]]


def test_a_model_with_a_window_has_layers_with_and_without_it() -> None:
    row = pack_row([1, 2, 3], [[4], [5, 6]])
    assert set(packing_of(row, Config(sliding_window=2), torch.float32).mask) == {None, 2}
    assert set(packing_of(row, Config(), torch.float32).mask) == {None}


def test_all_layers_of_a_row_keep_one_mask_for_the_backward_pass() -> None:
    row = pack_row([1, 2, 3], [[5] * 40, [6] * 30])
    packing = packing_of(row, Config(), torch.float32)
    mask = packing.forks[0].batches[0].mask[None]
    kept = list[int]()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.data_ptr()) or tensor, lambda t: t):
        for _ in range(2):
            packed_attention(Layer(), *drawn(row), None, packing=packing, scaling=SCALING)
    assert kept.count(mask.data_ptr()) == 2
    assert packing.forks[0].batches[0].mask.keys() == {None}


def test_windows_that_hide_nothing_share_the_mask() -> None:
    (fork,) = packing_of(pack_row([1, 2, 3], [[4], [5, 6]]), Config(sliding_window=5), torch.float32).forks
    assert fork.batches[0].mask[5] is fork.batches[0].mask[None]


def test_without_a_packing_it_is_plain_causal_attention() -> None:
    row = pack_row([1, 2, 3, 4], [[5]])
    tensors = drawn(row)
    output, _ = packed_attention(Layer(), *tensors, None, scaling=SCALING)
    torch.testing.assert_close(output, dense(row, tensors, None))
