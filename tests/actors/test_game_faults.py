from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors.game_faults import IN_A_ROW, REMEDIES, GameFaults
from common.buffer_records import RejectReason
from simulator import virtual
from tests.actors.buffer_world import fill, group, make
from tests.actors.supervisor_world import World


def test_people_are_told_after_so_many_rejected_tasks_of_one_game_in_a_row() -> None:
    faults = GameFaults()
    for number in range(IN_A_ROW):
        assert faults.warnings == {}
        faults.rejected("broken", RejectReason.GAME_ERROR, f"advance: KeyError: {number}")
        faults.played("sound")
    (warning,) = faults.warnings.values()
    assert warning.startswith(f"the game broken plays none of its tasks: {IN_A_ROW} in a row were rejected")
    assert f"game_error (advance: KeyError: {IN_A_ROW - 1})" in warning and "medserl check-env" in warning
    assert "\n" not in warning


def test_a_game_that_plays_some_of_its_tasks_is_not_reported() -> None:
    faults = GameFaults()
    for _ in range(3):
        for _ in range(IN_A_ROW - 1):
            faults.rejected("flaky", RejectReason.PARTNER, "nobody")
        faults.played("flaky")
    assert faults.warnings == {}


@pytest.mark.parametrize("reason", REMEDIES)
def test_each_reason_says_what_to_do(reason: RejectReason) -> None:
    faults = GameFaults()
    for _ in range(IN_A_ROW):
        faults.rejected("game", reason, "why")
    assert faults.warnings["game"].endswith(REMEDIES[reason])


async def test_the_buffer_counts_what_doctors_reject_until_one_group_of_the_game_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.game_faults.PAUSE_SECONDS", 0.0)
    buffer = make(tmp_path)
    await fill(buffer, IN_A_ROW + 1)
    for _ in range(IN_A_ROW):
        leased = await buffer.lease("d")
        await buffer.reject_lease("d", leased.task.task_id, RejectReason.PARTNER, "no pool of this run serves the role")
    stats = buffer.stats()
    assert stats["rejections"] == {"partner": IN_A_ROW} and list(stats["warnings"]) == ["verdict"]
    await buffer.put_group(group(await buffer.lease("d")))
    assert buffer.stats()["warnings"] == {}
    buffer.check()


def test_a_game_that_raises_at_once_does_not_spin() -> None:
    async def rejections(until: float) -> int:
        faults, count, now = GameFaults(), 0, asyncio.get_running_loop().time
        while now() < until:
            faults.rejected("broken", RejectReason.GAME_ERROR, "begin: KeyError: 1")
            await faults.pause("broken")
            count += 1
        return count

    assert virtual.run(rejections(60.0)) == IN_A_ROW - 1 + 60


async def test_the_screen_shows_a_warning_once_and_again_when_it_comes_back() -> None:
    world = await World().start()
    for warnings in ({"one": "fails"}, {"one": "fails"}, {}, {"one": "fails", "two": "fails too"}):
        world.buffer.warnings = warnings
        await world.beat()
    assert sorted(world.notes) == ["fails", "fails", "fails too"]
