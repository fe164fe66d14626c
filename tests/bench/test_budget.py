from __future__ import annotations

import pytest

from bench.budget import in_a_process


@pytest.mark.integration
def test_a_learner_keeps_the_weights_and_activations_that_the_plan_predicts() -> None:
    rows = {what: (predicted, measured) for what, predicted, measured in in_a_process("learner", "tiny")}
    predicted, measured = rows["learner: weights and LoRA, MiB"]
    assert predicted == measured > 6
    predicted, measured = rows["learner: activations, MiB"]
    assert predicted == pytest.approx(measured, rel=0.05)
