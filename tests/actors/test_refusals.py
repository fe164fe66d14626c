"""What does not pass for long is said, with the reason and the edit."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from actors.refusals import GROUPS, IN_A_ROW, TASKS, Refusals, line
from common.buffer_records import RejectReason
from common.config import FilterSpec
from common.metrics import REFUSED_IN_A_ROW
from common.records import Group
from tests.actors.buffer_world import fill, group, labelled, make
from tests.actors.supervisor_world import World

BAND = FilterSpec(difficulty=(0.2, 0.8))


async def test_a_policy_that_is_always_right_is_said_after_so_many_groups_in_a_row(tmp_path: Path) -> None:
    buffer = make(tmp_path, filters=BAND)
    for number in range(IN_A_ROW):
        assert buffer.stats()["warnings"] == {}
        assert buffer.stats()["in_a_row"] == ({(GROUPS, "difficulty"): number} if number else {})
        await fill(buffer, 1, lambda index: labelled(index))
        await buffer.put_group(group(await buffer.lease("d"), totals=(1.0, 1.0)))
    (warning,) = buffer.stats()["warnings"].values()
    assert warning == (
        "64 groups in a row were refused, the last one as difficulty: no success rate is in filters.difficulty "
        "[0.2, 0.8]: widen it, or set it to null"
    )
    await fill(buffer, 1)
    await buffer.put_group(group(await buffer.lease("d"), totals=(1.0, -1.0)))
    assert buffer.stats()["warnings"] == buffer.stats()["in_a_row"] == {}


async def test_tasks_that_come_again_and_again_are_said(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 1)
    for _ in range(IN_A_ROW):
        await buffer.put_task(await buffer.claim("s"), labelled(0))
    (warning,) = buffer.stats()["warnings"].values()
    assert "64 tasks in a row were refused, the last one as duplicate: the game makes tasks again" in warning


async def test_proposals_that_a_game_refuses_one_after_another_are_said(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    for _ in range(IN_A_ROW):
        await buffer.reject_claim(await buffer.claim("s"), "too_dull")
    (warning,) = buffer.stats()["warnings"].values()
    assert "64 tasks in a row were refused, the last one as too_dull" in warning and "check-env" in warning


async def test_groups_that_always_lose_their_lease_are_said(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    for _ in range(IN_A_ROW):
        await buffer.put_group(group(labelled(1)))
    (warning,) = buffer.stats()["warnings"].values()
    assert "the last one as late: groups take longer than their lease lasts: raise buffer.lease_seconds" in warning


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
async def test_a_group_with_a_log_prob_that_is_no_number_is_refused_by_name_at_once(tmp_path: Path, bad: float) -> None:
    buffer = make(tmp_path, batch=1)
    await fill(buffer, 2)
    broken = with_logp(group(await buffer.lease("d")), bad)
    await buffer.put_group(broken)
    stats = buffer.stats()
    assert stats["rejections"] == {"not_finite": 1} and stats["rolled"] == 0
    (warning,) = stats["warnings"].values()
    assert f"task task-0, episode 0, turn 0: the log-prob of token 0 from engine e is {bad}" in warning
    await buffer.put_group(group(await buffer.lease("d")))
    assert [one.task_id for one in await buffer.take_batch()] == ["task-1"]
    assert buffer.stats()["warnings"] == {}


def test_warnings_of_tasks_stay_while_groups_pass() -> None:
    refusals = Refusals(BAND)
    for _ in range(IN_A_ROW):
        refusals.refused(TASKS, RejectReason.NOVELTY)
        refusals.passed(GROUPS)
    assert list(refusals.warnings) == [TASKS] and refusals.in_a_row == {(TASKS, "novelty"): IN_A_ROW}


@pytest.mark.parametrize("reason", [*RejectReason, "a_games_own"])
@pytest.mark.parametrize("what", [TASKS, GROUPS])
def test_every_reason_says_what_to_do_in_one_line(reason: str, what: str) -> None:
    said = line(what, reason, IN_A_ROW, FilterSpec(difficulty=(0.2, 0.8), novelty=0.5), "")
    assert said.startswith(f"{IN_A_ROW} {what} in a row were refused, the last one as {reason}: ") and "\n" not in said


async def test_the_board_shows_what_is_refused_in_a_row_and_forgets_it_once_something_passes() -> None:
    world = await World().start()
    labels = {"what": "groups", "reason": "difficulty"}
    seen = []
    for in_a_row in ({(GROUPS, "difficulty"): 7}, {(GROUPS, "too_short"): 8}, {}):
        world.buffer.in_a_row = in_a_row
        await world.beat()
        seen.append(world.board.registry.get_sample_value(REFUSED_IN_A_ROW.name, labels))
    assert seen == [7.0, 0.0, 0.0]


def with_logp(of: Group, logp: float) -> Group:
    (rollout,) = of.rollouts
    (step,) = rollout.steps
    completion = msgspec.structs.replace(step.completion, logps=(logp,))
    rollout = msgspec.structs.replace(rollout, steps=(msgspec.structs.replace(step, completion=completion),))
    return msgspec.structs.replace(of, rollouts=(rollout,))
