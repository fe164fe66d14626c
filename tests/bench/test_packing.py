from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.packing import group, repeated_logps
from common.config import LearnerSpec
from learner.policy import completion_logps, load_policy
from tests.learner.tiny_models import llama, saved


@pytest.mark.parametrize(("turns", "observed"), [((1,), 0), ((1, 2, 3), 5)], ids=["one turn", "many turns"])
def test_both_ways_compute_the_same_log_probs(tmp_path: Path, turns: tuple[int, ...], observed: int) -> None:
    folder = saved(llama(), tmp_path)
    policy = load_policy(folder, LearnerSpec(gradient_checkpointing=False), "cpu", seed=0, dtype=torch.float32)
    packed = group(policy.config.vocab_size, prompt=9, episodes=3, tokens=4, turns=turns, observed=observed)
    torch.testing.assert_close(repeated_logps(policy.module, packed), completion_logps(policy.module, packed, 1.0, 4))
