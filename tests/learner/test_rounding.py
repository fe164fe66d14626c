from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from learner.rounding import to_bfloat16

finite = st.floats(-(2.0**100), 2.0**100, width=32)


@given(st.lists(finite, min_size=1, max_size=50))
def test_every_element_becomes_a_neighbour_on_the_grid(values: list[float]) -> None:
    exact = torch.tensor(values, dtype=torch.float32)
    rounded = to_bfloat16(exact).float()
    toward_zero = (exact.view(torch.int32) >> 16 << 16).view(torch.float32)
    away = (toward_zero.view(torch.int32) + (1 << 16)).view(torch.float32)
    assert bool(((rounded == toward_zero) | (rounded == away)).all())


@given(st.lists(finite, min_size=1, max_size=50))
def test_a_number_on_the_grid_stays(values: list[float]) -> None:
    grid = torch.tensor(values).to(torch.bfloat16)
    assert torch.equal(to_bfloat16(grid.float()), grid)


def test_the_mean_of_a_small_update_is_kept_which_rounding_to_the_nearest_loses() -> None:
    base = torch.full((200, 500), 0.05).to(torch.bfloat16).float()
    updated = base + 2e-5
    assert torch.equal(updated.to(torch.bfloat16).float(), base)
    arrived = (to_bfloat16(updated).float() - base).mean()
    assert 1.8e-5 < float(arrived) < 2.2e-5


def test_equal_weights_round_to_equal_bytes() -> None:
    weights = torch.randn(33, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(to_bfloat16(weights), to_bfloat16(weights.clone()))
