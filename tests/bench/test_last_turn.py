"""The control of the credit test."""

from __future__ import annotations

import torch

from bench.last_turn import last_turns_only
from learner.batch import layout, pack
from tests.learner.groups import group_of_turns


def test_only_the_tokens_of_last_turns_keep_their_return() -> None:
    group = group_of_turns([1], [[([2, 3], [9]), ([4], [9]), ([5, 6], [])], [([7, 8], [])]])
    tokens = layout([pack(group)], [0])
    assert last_turns_only(torch.ones(7), tokens).tolist() == [0, 0, 0, 1, 1, 1, 1]
