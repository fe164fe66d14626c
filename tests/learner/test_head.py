"""The head's log-probs and their hand-written gradients against plain float64 torch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from learner.head import head_logps

HIDDEN, VOCABULARY = 5, 11


def model(frozen: bool, softcap: float | None) -> Any:
    """What `head_logps` asks of a model."""
    head = nn.Linear(HIDDEN, VOCABULARY, bias=False).requires_grad_(not frozen)
    config = SimpleNamespace(final_logit_softcapping=softcap)
    config.get_text_config = lambda: config
    return SimpleNamespace(config=config, get_output_embeddings=lambda: head, head=head)


def exact_logps(
    weight_VD: Tensor, hidden_ND: Tensor, target_N: Tensor, temperature: float, softcap: float | None
) -> Tensor:
    """The definition, in float64."""
    logits_NV = hidden_ND @ weight_VD.T
    if softcap is not None:
        logits_NV = softcap * torch.tanh(logits_NV / softcap)
    return (logits_NV / temperature).log_softmax(-1)[torch.arange(len(target_N)), target_N]


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**31),
    tokens=st.integers(1, 9),
    parts=st.integers(1, 12),
    temperature=st.sampled_from([0.3, 1.0, 1.7]),
    softcap=st.sampled_from([None, 2.0]),
    frozen=st.booleans(),
    keep=st.booleans(),
)
def test_log_probs_and_gradients_are_those_of_a_plain_log_softmax(
    seed: int, tokens: int, parts: int, temperature: float, softcap: float | None, frozen: bool, keep: bool
) -> None:
    torch.manual_seed(seed)
    made = model(frozen, softcap)
    hidden_ND = (3 * torch.randn(tokens, HIDDEN)).requires_grad_()
    target_N, weight_N = torch.randint(VOCABULARY, (tokens,)), torch.randn(tokens)
    got = head_logps(made, hidden_ND, target_N, temperature, parts, keep=keep)
    (got * weight_N).sum().backward()  # type: ignore[no-untyped-call]
    exact_ND, exact_VD = (t.detach().double().requires_grad_() for t in (hidden_ND, made.head.weight))
    expected = exact_logps(exact_VD, exact_ND, target_N, temperature, softcap)
    (expected * weight_N).sum().backward()  # type: ignore[no-untyped-call]
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), expected, atol=1e-5, rtol=1e-5)
    assert hidden_ND.grad is not None and exact_ND.grad is not None
    torch.testing.assert_close(hidden_ND.grad.double(), exact_ND.grad, atol=1e-5, rtol=1e-5)
    if frozen:
        assert made.head.weight.grad is None
    else:
        torch.testing.assert_close(made.head.weight.grad.double(), exact_VD.grad, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frozen", [True, False])
def test_without_a_gradient_the_log_probs_are_the_same(frozen: bool) -> None:
    made, hidden_ND, target_N = model(frozen, None), torch.randn(4, HIDDEN), torch.tensor([0, 3, 10, 3])
    with torch.no_grad():
        blind = head_logps(made, hidden_ND, target_N, 1.0, 2)
    assert not blind.requires_grad
    torch.testing.assert_close(blind, head_logps(made, hidden_ND.requires_grad_(), target_N, 1.0, 2).detach())


@pytest.mark.parametrize("frozen", [True, False])
def test_logits_of_thousands_give_finite_log_probs_and_gradients(frozen: bool) -> None:
    made = model(frozen, None)
    hidden_ND = (1e5 * torch.randn(4, HIDDEN)).requires_grad_()
    logp_N = head_logps(made, hidden_ND, torch.tensor([0, 3, 10, 3]), 1.0, 1)
    logp_N.sum().backward()  # type: ignore[no-untyped-call]
    assert bool(logp_N.isfinite().all()) and bool((logp_N <= 0).all())
    assert hidden_ND.grad is not None and bool(hidden_ND.grad.isfinite().all())


def test_bfloat16_logits_are_summed_in_float32() -> None:
    """A thousand equal logits: bfloat16 could not count so far, and the log-prob would be off by percents."""
    head = nn.Linear(HIDDEN, 1000, bias=False, dtype=torch.bfloat16).requires_grad_(False)
    made = model(True, None)
    made.get_output_embeddings = lambda: head
    nn.init.zeros_(head.weight)
    logp_N = head_logps(made, torch.randn(2, HIDDEN, dtype=torch.bfloat16), torch.tensor([1, 2]), 1.0, 1)
    torch.testing.assert_close(logp_N, torch.full((2,), -6.907755), atol=1e-4, rtol=0)
