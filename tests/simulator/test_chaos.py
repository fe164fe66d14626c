"""The chaos command's own claims: who is killed, that it was killed, and that another came."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from simulator.chaos import KINDS, arguments, kill_one, schedule
from simulator.chaos_job import Job


def test_every_round_of_a_schedule_kills_each_kind_once_and_the_driver_is_one() -> None:
    assert {"driver", "buffer", "rank", "pool"} < set(KINDS)
    kinds = [kind for kind, _ in schedule(3 * len(KINDS), seed=1)]
    rounds = [kinds[at : at + len(KINDS)] for at in range(0, len(kinds), len(KINDS))]
    assert all(sorted(one) == sorted(KINDS) for one in rounds) and rounds[0] != rounds[1]


def sleeper(seconds: float = 60) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])


class FakeJob(Job):
    """A driver and two engines that only sleep. `mends` is what replaces a dead engine."""

    def __init__(self, home: Path, mends: bool = True) -> None:
        super().__init__(home, "fake", home / "spec.yaml", [])
        self.process, self.engines, self.mends = sleeper(), [sleeper(), sleeper()], mends
        self.resumed = 0

    def start(self, *flags: str) -> None:
        self.process, self.resumed = sleeper(), self.resumed + 1

    def processes(self, kind: str) -> list[psutil.Process]:
        """As Ray and the supervisor would: a dead engine has a successor at the next look."""
        if self.mends:
            self.engines = [engine if engine.poll() is None else sleeper() for engine in self.engines]
        of_kind = {"engine": self.engines, "rank": [self.process]}.get(kind, [])
        return [psutil.Process(one.pid) for one in of_kind if one.poll() is None]

    def _below(self) -> list[psutil.Process]:
        return []

    def step_after(self, moment: float) -> dict[str, Any]:
        return {"step": 3}

    def wait(self, ready: Any, what: str, seconds: float = 1.0) -> Any:
        return super().wait(ready, what, 1.0)

    def text(self) -> str:
        return ""

    def without_engines(self) -> FakeJob:
        """They would not die with this driver."""
        for engine in self.engines:
            engine.kill()
            engine.wait()
        self.engines = []
        return self

    def close(self) -> None:
        self.without_engines()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def job(tmp_path: Path) -> Any:
    made = FakeJob(tmp_path)
    yield made
    made.close()


def test_one_of_two_engines_is_gone_and_a_third_process_came(job: FakeJob) -> None:
    before = {engine.pid for engine in job.engines}
    kill = kill_one(job, "engine", random.Random(0), longest_wait_seconds=0)
    assert kill.dead in before and not psutil.pid_exists(kill.dead) and kill.successor not in before


def test_the_other_engine_is_not_taken_for_the_successor(job: FakeJob) -> None:
    job.mends = False
    with pytest.raises(RuntimeError, match="another engine never came"):
        kill_one(job, "engine", random.Random(0), longest_wait_seconds=0)


def test_the_driver_is_killed_and_the_run_resumed_by_another(job: FakeJob) -> None:
    first = job.without_engines().process
    kill = kill_one(job, "driver", random.Random(0), longest_wait_seconds=0)
    assert (kill.dead, first.returncode) == (first.pid, -signal.SIGKILL)
    assert kill.successor == job.process.pid != first.pid and job.resumed == 1


def test_a_driver_that_ended_by_itself_was_not_killed(job: FakeJob) -> None:
    job.without_engines().process.terminate()
    job.process.wait()
    with pytest.raises(RuntimeError, match="ended by itself before it was killed"):
        kill_one(job, "driver", random.Random(0), longest_wait_seconds=0)


def test_paths_are_read_as_people_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    given = arguments(["--spec=~/a b [1].yaml", "--runs=~/my runs"])
    assert (given.spec, given.runs) == (tmp_path / "a b [1].yaml", tmp_path / "my runs")
