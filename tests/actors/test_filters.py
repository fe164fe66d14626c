from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.filters import RECENT, Novelty, group_rejection
from common.config import FilterSpec
from common.metrics import REJECTED, REJECTIONS
from tests.actors.buffer_world import fill, group, labelled, make

NOTE = "The patient is a man of fifty with chest pain that began after lunch and eased at rest."
BAND = FilterSpec(difficulty=(0.2, 0.8))


@pytest.mark.parametrize(
    ("right", "of", "reason"),
    [(0, 8, "difficulty"), (1, 8, "difficulty"), (2, 8, None), (6, 8, None), (7, 8, "difficulty"), (1, 5, None)],
)
def test_a_group_is_kept_when_its_success_rate_is_in_the_band_ends_included(
    right: int, of: int, reason: str | None
) -> None:
    totals = (1.1,) * right + (-0.9,) * (of - right)
    assert group_rejection(BAND, group(labelled(0), totals=totals)) == reason


def test_a_success_is_a_reward_above_0_whatever_the_penalty_of_the_others() -> None:
    mild, full = (group(labelled(0), totals=(0.5, 0.5, penalty, penalty)) for penalty in (-0.9, -1.4))
    assert group_rejection(BAND, mild) is group_rejection(BAND, full) is None


def test_without_a_band_a_group_of_equal_rewards_stays() -> None:
    assert group_rejection(FilterSpec(), group(labelled(0), totals=(-1.5,) * 4)) is None


def test_one_short_completion_takes_its_group_along() -> None:
    spec = FilterSpec(min_tokens=3)
    assert group_rejection(spec, group(labelled(0), versions=(0, 0))) == "too_short"
    assert group_rejection(spec, group(labelled(0), versions=(0, 0, 0))) is None


@given(st.lists(st.sampled_from([1.1, 0.5, -0.9, -1.5]), min_size=1, max_size=9), st.integers(1, 4), st.integers(0, 4))
def test_every_refusal_has_a_reason_that_the_metrics_declare(totals: list[float], min_tokens: int, tokens: int) -> None:
    spec = FilterSpec(difficulty=(0.2, 0.8), min_tokens=min_tokens)
    reason = group_rejection(spec, group(labelled(0), versions=(0,) * tokens, totals=tuple(totals)))
    assert reason is None or reason in REJECTIONS


def test_novelty_compares_with_the_recent_tasks_only() -> None:
    novelty = Novelty(0.7)
    assert novelty.accepts(labelled(0, NOTE).task)
    assert not novelty.accepts(labelled(1, NOTE.replace("lunch", "dinner")).task)
    for index in range(RECENT):
        assert novelty.accepts(labelled(index + 2, f"{chr(97 + index % 26)}{index} " * 12).task)
    assert novelty.accepts(labelled(999, NOTE).task), "the first is forgotten by now"


def test_a_refused_task_is_not_remembered() -> None:
    novelty, words = Novelty(0.5, [labelled(0, NOTE).task]), NOTE.split()
    halfway = " ".join(words[:12] + ["x"] * 6)
    further = " ".join(words[:6] + ["y"] * 6 + ["x"] * 6)
    assert not novelty.accepts(labelled(1, halfway).task)
    assert novelty.accepts(labelled(2, further).task), "near the refused one, far from the remembered one"


async def test_refusals_are_counted_by_reason_for_the_metrics_and_never_reach_a_batch(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=0, batch=2, filters=FilterSpec(difficulty=(0.2, 0.8), min_tokens=1))
    await fill(buffer, 5)
    for totals, versions in (((1.0, 1.0), (0,)), ((1.0, -1.0), ()), ((1.0, -1.0), (0,)), ((-1.0, 1.0), (0,))):
        await buffer.put_group(group(await buffer.lease("d"), totals=totals, versions=versions))
    batch = await buffer.take_batch()
    assert [each.task_id for each in batch] == ["task-2", "task-3"]
    assert all(len({reward.total for reward in each.rewards}) == 2 for each in batch)
    counts = buffer.stats()["counts"]
    assert counts[REJECTED.name, ("difficulty",)] == counts[REJECTED.name, ("too_short",)] == 1


async def test_a_resumed_buffer_still_knows_the_notes_that_it_holds(tmp_path: Path) -> None:
    spec = FilterSpec(novelty=0.7)
    first = make(tmp_path, filters=spec)
    assert await first.put_task(await first.claim("s"), labelled(0, NOTE))
    resumed = make(tmp_path, filters=spec, trained_steps=0)
    await resumed.put_task(await resumed.claim("s"), labelled(1, NOTE.replace("lunch", "dinner")))
    assert resumed.stats()["rejections"] == {"novelty": 1}
