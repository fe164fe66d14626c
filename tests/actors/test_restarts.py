from __future__ import annotations

import asyncio

import pytest

from actors.restarts import LONGEST_PAUSE_SECONDS, MAX_RESTARTS, BudgetSpent, RestartBudget


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


async def test_the_first_restart_comes_at_once_and_each_further_one_after_twice_the_pause(pauses: list[float]) -> None:
    notes: list[str] = []
    restarts = RestartBudget(notes.append)
    for _ in range(MAX_RESTARTS):
        await restarts.consume("doctor-0 died; starting another")
    assert pauses == [0, 1, 2, 4, 8]
    assert notes[0] == "doctor-0 died; starting another" and notes[-1] == "doctor-0 died; starting another in 8 s"
    with pytest.raises(BudgetSpent, match="doctor-0 died; starting another: gave up after 5 restarts"):
        await restarts.consume("doctor-0 died; starting another")


async def test_a_loss_names_the_log_of_who_died(pauses: list[float]) -> None:
    notes: list[str] = []
    restarts = RestartBudget(notes.append)
    for _ in range(MAX_RESTARTS):
        await restarts.consume("doctor-0 died; starting another", "doctor-0", "doctor-0.3")
    assert notes[0] == "doctor-0 died; starting another (logs/doctor-0.3.log)"
    assert notes[1] == "doctor-0 died; starting another in 1 s (logs/doctor-0.3.log)"
    with pytest.raises(BudgetSpent, match=r"published step in between \(logs/doctor-0.3.log\)"):
        await restarts.consume("doctor-0 died; starting another", "doctor-0", "doctor-0.3")


async def test_no_pause_is_longer_than_the_longest(pauses: list[float]) -> None:
    restarts = RestartBudget(lambda _: None, first_pause_seconds=20)
    for _ in range(3):
        await restarts.consume("")
    assert pauses == [0, 20, LONGEST_PAUSE_SECONDS]


async def test_only_a_step_that_was_never_reached_before_forgives(pauses: list[float]) -> None:
    """A run that is thrown back to its checkpoint again and again publishes steps, and gets nowhere."""
    restarts = RestartBudget(lambda _: None)
    for _ in range(MAX_RESTARTS):
        restarts.progressed(3)
        restarts.progressed(4)
        await restarts.consume("a rank died")
    with pytest.raises(BudgetSpent):
        restarts.progressed(4)
        await restarts.consume("a rank died")
    restarts.progressed(5)
    await restarts.consume("a rank died")


async def test_a_lost_machine_costs_each_of_its_actors_one_restart_and_not_the_run_all_of_them(
    pauses: list[float],
) -> None:
    restarts = RestartBudget(lambda _: None)
    for slot in range(4 * MAX_RESTARTS):
        await restarts.consume("an engine died", f"engines-{slot}")
    assert set(pauses) == {0}
    for _ in range(MAX_RESTARTS - 1):
        await restarts.consume("an engine died", "engines-0")
    with pytest.raises(BudgetSpent):
        await restarts.consume("an engine died", "engines-0")
