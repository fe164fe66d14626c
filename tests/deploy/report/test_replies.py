from __future__ import annotations

import pytest
from msgspec.structs import replace

from common.buffer_records import StoredGroup
from common.records import EndReason, Group
from deploy.report.replies import figures
from tests.deploy.report.rollouts import group, labelled, rollout


def stored(of: Group, *ends: EndReason) -> StoredGroup:
    made = StoredGroup.of(of, None)
    return replace(made, stats=tuple(replace(one, reason=end) for one, end in zip(made.stats, ends, strict=True)))


def test_length_truncated_share_and_entropy_are_over_all_replies_and_tokens() -> None:
    done, cut = EndReason.SUBMITTED, EndReason.LENGTH
    one = group(labelled(0), rollout(versions=(0, 0)), rollout(versions=(0, 0, 0, 0)))
    two = group(labelled(1), rollout(versions=(0, 0, 0)))
    found = figures([stored(one, done, cut), stored(two, done)])
    assert found == {
        "reply_tokens": 3.0,
        "truncated_share": pytest.approx(1 / 3),
        "entropy": pytest.approx(0.5),  # every token has a log-prob of -0.5
    }


def test_an_episode_that_a_game_ended_early_is_not_truncated() -> None:
    one = group(labelled(0), rollout(), rollout())
    assert figures([stored(one, EndReason.MAX_TURNS, EndReason.INVALID)])["truncated_share"] == 0.0


def test_of_nothing_nothing_is_known() -> None:
    assert set(figures([]).values()) == {None}
