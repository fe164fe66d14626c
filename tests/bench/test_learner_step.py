from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.learner_step import GROUPS, groups, unpacked
from common.config import LearnerSpec
from learner.batch import shared_row
from learner.policy import Policy, completion_logps, load_policy
from tests.learner.tiny_models import llama, saved


@pytest.mark.integration
def test_all_ways_compute_the_same_log_probs(tmp_path: Path) -> None:
    folder = saved(llama(), tmp_path)

    def loaded() -> Policy:
        return load_policy(folder, LearnerSpec(gradient_checkpointing=False), "cpu", seed=0, dtype=torch.float32)

    made = groups(vocabulary=61, shared=5, prompt=9, completions=3, tokens=4)
    assert len(made) == GROUPS and shared_row(made).ids_S.numel() == 5 + GROUPS * (4 + 3 * 4)
    packed, plain = loaded().module, unpacked(loaded())
    together = completion_logps(packed, shared_row(made), 1.0, 8)
    torch.testing.assert_close(together, torch.cat([completion_logps(packed, one, 1.0, 8) for one in made]))
    torch.testing.assert_close(together, completion_logps(plain, shared_row(made), 1.0, 8))
