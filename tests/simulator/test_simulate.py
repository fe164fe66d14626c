from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from actors import journal
from actors.replay_buffer import ReplayBuffer
from actors.task_states import TaskStates
from common.config import BufferSpec, LearnerSpec, PoolSpec, RolloutSpec, RunSpec, SamplingSpec, WeightsSpec
from simulator import simulate, virtual
from simulator.fake_cluster import Speeds
from simulator.fake_game import FakeGame, FakeSettings
from simulator.scaling import measure
from simulator.simulated_run import FAULTS, Fault, SimulatedRun
from simulator.virtual import Handle


def spec(**more: Any) -> RunSpec:
    sections = {
        "pools": (PoolSpec(engines=2),),
        "rollout": RolloutSpec(doctors=3, concurrency=2),
        "sampling": SamplingSpec(group_size=2),
        "buffer": BufferSpec(max_lag=1, capacity=8),
        "learner": LearnerSpec(batch_groups=2, checkpoint_every=1),
        "weights": WeightsSpec(timeout_seconds=20),
    }
    return RunSpec(steps=6, **{**sections, **more})


def played(folder: Path, *faults: Fault, limit: float = 1e5, seed: int = 0, **more: Any) -> SimulatedRun:
    game = FakeGame(FakeSettings(refused=0.2, asks=0.3, goes_on=0.8), seed)
    run = SimulatedRun(spec(**more), Speeds(median_tokens=120), game, seed, folder)
    virtual.run(run.play(faults, heartbeat=10.0, limit=limit))
    return run


def test_the_virtual_clock_jumps_to_the_next_timer_and_runs_them_in_order() -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        await asyncio.gather(sleeper("year", 3.15e7), sleeper("hour", 3600.0), sleeper("now", 0.0))

    virtual.run(main())
    assert woken == [("now", 0.0), ("hour", 3600.0), ("year", 3.15e7)]


def test_a_deadline_passes_in_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 300)
        return asyncio.get_running_loop().time()

    assert virtual.run(main()) == 300


def test_a_wait_that_nothing_can_end_is_an_error_instead_of_a_hang() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(virtual.Stuck):
        virtual.run(main())


def test_a_callback_that_fails_is_not_swallowed() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(1, lambda: 1 / 0)
        await asyncio.sleep(2)

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        virtual.run(main())


class Worker:
    def __init__(self) -> None:
        self.done: list[float] = []

    async def work(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        self.done.append(seconds)
        return seconds


def test_a_killed_actor_stops_its_work_and_its_callers_hear_of_it() -> None:
    async def main() -> list[float]:
        worker = Worker()
        handle = Handle(worker)
        call = handle.work.remote(10.0)
        asyncio.get_running_loop().call_later(5, handle.kill)
        for broken in (call, handle.work.remote(20.0)):
            with pytest.raises(ActorDiedError):
                await broken
        with pytest.raises(ActorDiedError):
            await handle.work.remote(1.0)
        await asyncio.sleep(100)
        return worker.done

    assert virtual.run(main()) == []


def test_a_call_continues_when_its_caller_dies() -> None:
    async def main() -> list[float]:
        worker = Worker()

        async def caller() -> None:
            await Handle(worker).work.remote(10.0)

        calling = asyncio.ensure_future(caller())
        await asyncio.sleep(1)
        calling.cancel()
        await asyncio.sleep(100)
        return worker.done

    assert virtual.run(main()) == [10.0]


def test_calls_hold_an_actors_only_thread_one_after_another() -> None:
    async def main() -> float:
        handle = Handle(Worker(), service=0.5)
        await asyncio.gather(*(handle.work.remote(0.0) for _ in range(10)))
        return asyncio.get_running_loop().time()

    assert virtual.run(main()) == pytest.approx(5.0)


def test_an_undisturbed_run_makes_its_steps_in_one_life(tmp_path: Path) -> None:
    run = played(tmp_path)
    assert not run.violations and run.endings == {"finished": 1}
    assert Counter(run.history.values()) == dict.fromkeys(range(1, 7), 2)


FELT = ("hang", "slow", "rank_hang")
"""Faults that nothing notices until a call meets them."""


@pytest.mark.parametrize("kind", FAULTS)
def test_each_kind_of_fault_hits_and_the_run_still_ends_with_its_accounts_in_balance(tmp_path: Path, kind: str) -> None:
    run = played(tmp_path, Fault(at=150.0, kind=kind), Fault(at=200.0, kind=kind))
    assert not run.violations and run.endings["finished"] == 1
    assert run.faults[kind] == 2
    fatal = kind in ("rank", "rank_hang", "buffer", "driver", "power")
    assert (run.endings.total() > 1) == fatal
    if kind in FELT:
        assert run.felt[kind], "no call met it"
    if kind in ("driver", "power"):
        assert run.endings[kind] == 2, "each death ended a life"


def test_twenty_seeded_schedules_break_nothing_and_meet_every_fault() -> None:
    outcomes = [simulate.run_schedule(seed) for seed in range(20)]
    assert [outcome for outcome in outcomes if outcome.violations] == []
    met = sum((Counter(outcome.faults) for outcome in outcomes), Counter[str]())
    felt = sum((Counter(outcome.felt) for outcome in outcomes), Counter[str]())
    assert all(met[kind] for kind in FAULTS) and all(felt[kind] for kind in FELT)
    assert sum(outcome.lives for outcome in outcomes) > 30
    turns = sum((Counter(outcome.turns) for outcome in outcomes), Counter[int]())
    assert (min(turns), max(turns)) == (1, 40)
    assert sum(outcome.moved for outcome in outcomes) and sum(outcome.late for outcome in outcomes)


@pytest.mark.integration
def test_forty_other_schedules_break_nothing() -> None:
    outcomes = [simulate.run_schedule(seed) for seed in range(20, 60)]
    assert [outcome for outcome in outcomes if outcome.violations] == []
    assert sum(outcome.lives for outcome in outcomes) > 60


def test_sizes_may_change_while_faults_happen(tmp_path: Path) -> None:
    resized = others = 0
    for seed in range(5):
        spec, speeds, game, faults = simulate.schedule(seed)
        run = SimulatedRun(spec, speeds, game, seed, tmp_path / f"{seed}")
        run.folder.mkdir()
        resizes = [Fault(at=moment, kind="resize") for moment in range(30, 330, 60)]
        virtual.run(run.play([*faults, *resizes], simulate.HEARTBEAT, simulate.LIMIT))
        assert run.violations == [] and run.endings["finished"] == 1
        resized += run.faults["resize"]
        others += run.faults.total() - run.faults["resize"]
    assert resized > 10 and others > 5


def test_a_seed_repeats_a_schedule_exactly() -> None:
    assert simulate.run_schedule(7) == simulate.run_schedule(7)


def test_a_schedule_compacts_small_journals_and_leaves_the_threshold_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, usual = list[int](), journal.WORTHWHILE_BYTES

    async def play(run: SimulatedRun, *_: object) -> None:
        seen.append(journal.WORTHWHILE_BYTES)
        raise AssertionError("the schedule fails")

    monkeypatch.setattr(SimulatedRun, "play", play)
    assert simulate.run_schedule(7).violations and (seen, journal.WORTHWHILE_BYTES) == ([0], usual)


def faults_of_every_kind() -> list[Fault]:
    return [Fault(at=130.0 + 20 * turn, kind=kind) for turn, kind in enumerate(FAULTS * 2)]


def test_the_simulator_sees_a_bound_that_is_too_wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReplayBuffer, "_admits", lambda self: self._tasks.count("ready") > 0)
    monkeypatch.setattr(ReplayBuffer, "check", lambda self: None)
    monkeypatch.setattr(ReplayBuffer, "_reject_stale", lambda self: None)
    monkeypatch.setattr("actors.replay_buffer.choose", lambda rolled, twins, size, fits: _newest(rolled, size))
    assert any("has lag" in violation for violation in played(tmp_path).violations)


def _newest(rolled: list[int], size: int) -> list[int] | None:
    return rolled[-size:] if len(rolled) >= size else None


def test_the_simulator_sees_a_lease_that_is_not_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(self: ReplayBuffer, doctor: str) -> int:
        return 0

    monkeypatch.setattr(ReplayBuffer, "return_leases", nothing)
    monkeypatch.setattr(TaskStates, "next_deadline", lambda self: None)
    killed = [Fault(at=130.0 + 5 * turn, kind="doctor") for turn in range(5)]
    assert any(violation.startswith("stuck") for violation in played(tmp_path, *killed, limit=5000).violations)


def test_the_simulator_sees_a_resume_that_is_not_journaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.journal._Fold.roll_back", lambda self, trained_steps: None)
    with pytest.raises(ValueError, match="tasks were trained"):
        for seed in range(20):
            played(
                tmp_path / str(seed),
                *faults_of_every_kind(),
                seed=seed,
                learner=LearnerSpec(batch_groups=2, checkpoint_every=2),
            )


def test_the_command_runs_schedules_and_says_what_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main(["--schedules", "3", "--seed", "100"]) == 0
    said = capsys.readouterr().out
    assert "3 schedules (seeds 100 to 102): 0 with violations" in said and "faults: scribe" in said
    assert "episodes trained on: " in said


def test_twice_the_doctors_make_nearly_twice_the_groups_until_the_learner_is_the_bound() -> None:
    speeds = Speeds(learner_seconds_per_token=1e-5, load=1.0, service=1e-3)
    two, four = (measure(doctors, 16, 1, speeds) for doctors in (2, 4))
    assert four.groups_per_hour / two.groups_per_hour > 1.8
    slow = Speeds(learner_seconds_per_token=1e-2, load=1.0)
    bound = measure(16, 16, 2, slow)
    assert bound.busy > 0.95 and bound.groups_per_hour < four.groups_per_hour


def test_asynchronous_beats_synchronous_where_lengths_are_long_tailed() -> None:
    speeds = Speeds(learner_seconds_per_token=1e-3, load=1.0)
    sync, lagging = (measure(8, 16, lag, speeds) for lag in (0, 1))
    assert lagging.groups_per_hour > 1.4 * sync.groups_per_hour
