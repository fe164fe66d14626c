"""What a rank counts of the rows that it trained on."""

from __future__ import annotations

import math

import pytest
import torch

from common.metrics import TURN_STATISTICS
from learner.batch import pack, shared_row
from learner.rank_rows import Terms
from learner.shares import merge_shares, share_of
from tests.learner.groups import group_of_turns


def test_statistics_by_turn_are_those_of_the_tokens_of_that_turn() -> None:
    """Ten turns: each of the first four by itself, then the fifth to the eighth, then the others."""
    long = [([token, token], [9]) for token in range(10)]
    group = group_of_turns([1], [long, [([3], [])]], [1.0, 0.0])
    row = shared_row([pack(group)])
    share = share_of([group], version=11, weight=21.0)
    advantage_N = torch.arange(21.0)
    logp_N = row.logp_engine_N + torch.where(row.turn_N == 1, math.log(8), 0.0)
    share.add(row, Terms(advantage_N, torch.ones(21), None, "task"), logp_N, 0.0, (0.5, 5.0))
    report = merge_shares([share, share_of([group], 11, 21.0)], step=1, learning_rate=0.0, grad_norm=0.0, seconds={})
    assert list(report.by_turn) == ["1", "2", "3", "4", "5-8", "9+"]
    assert all(tuple(statistics) == TURN_STATISTICS for statistics in report.by_turn.values())
    assert [statistics["advantage_mean"] for statistics in report.by_turn.values()] == pytest.approx(
        [(0 + 1 + 20) / 3, 2.5, 4.5, 6.5, 11.5, 17.5]
    )
    clamped = [statistics["share_clamped"] for statistics in report.by_turn.values()]
    assert clamped == [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert report.by_turn["2"]["mismatch_kl"] == pytest.approx(8 - 1 - math.log(8), rel=1e-5)


def test_turns_that_no_episode_had_are_left_out() -> None:
    group = group_of_turns([1], [[([2], [])], [([3], [])]])
    share = share_of([group], version=2, weight=2.0)
    row = shared_row([pack(group)])
    share.add(row, Terms(torch.zeros(2), torch.ones(2), None, "task"), row.logp_engine_N, 0.0, None)
    report = merge_shares([share], step=1, learning_rate=0.0, grad_norm=0.0, seconds={})
    assert list(report.by_turn) == ["1"]
