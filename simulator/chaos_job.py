"""A self-play run as a child process: its actors' processes by kind, its log, its task accounting."""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pyarrow.parquet as pq

from actors.journal import replay
from common.files import json_lines
from common.records import Record

TITLES = {
    "scribe": "ray::Scribe",
    "doctor": "ray::Doctor",
    "engine": "ray::Engine",
    "core": "VLLM::EngineCore",
    "buffer": "ray::ReplayBuffer",
    "pool": "ray::EnginePool",
    "rank": "ray::LearnerActor",
}
"""Process titles of each kind. The evaluator runs in the driver's process."""

DEADLINE_SECONDS = 600.0
POLL_SECONDS = 0.2
END_SECONDS = 60
"""In which actors end whose driver is gone: seconds on an idle machine."""

Found = TypeVar("Found")


class Accounts(Record):
    """Every plan index that was given out, by its state at the newest checkpoint or step."""

    given: int
    ready: int
    unclaimed: int
    trained: int
    rejected: int
    steps: dict[int, int]  # step -> tasks trained in it
    twice: tuple[str, ...]  # tasks whose rollouts were logged for two steps
    turns: dict[int, int]  # episodes trained on, by their turns
    lag: int  # largest of an episode

    @property
    def balance(self) -> bool:
        """Whether nothing is lost, nothing is trained twice and no step is left out."""
        counted = self.ready + self.unclaimed + self.trained + self.rejected == self.given
        return counted and not self.twice and sorted(self.steps) == list(range(1, len(self.steps) + 1))


class Job:
    """One `python -m deploy.selfplay` process and its output. A second `start` resumes the run."""

    def __init__(self, runs: Path, name: str, spec: Path, flags: list[str], program: str = "deploy.selfplay") -> None:
        self.folder, self.name, self._program = runs / name, name, program
        self._common = ["--runs", str(runs), "--name", name, "--metrics.port", "0", *flags]
        self.spec = spec
        runs.mkdir(parents=True, exist_ok=True)
        self.log = runs / f"{name}.log"
        self.process: subprocess.Popen[bytes]

    def start(self, *flags: str) -> None:
        """Start the driver."""
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._program, str(self.spec), *self._common, *flags],
                env={"RAY_AUTH_MODE": "disabled", **os.environ},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        atexit.register(self.end)

    def end(self) -> None:
        """Kill the run, if it is still running."""
        if self.process.poll() is None:
            with suppress(RuntimeError):  # it ended meanwhile
                self.kill_driver()

    def text(self) -> str:
        """The output of all its drivers."""
        return self.log.read_text()

    def rows(self) -> list[dict[str, Any]]:
        """The finished steps."""
        return json_lines(self.folder / "metrics.jsonl").found

    def processes(self, kind: str) -> list[psutil.Process]:
        """The processes of a kind that are children of this driver."""
        title = re.compile(rf"{TITLES[kind]}([.: ].*)?")
        return [process for process in self._below() if title.fullmatch(_title(process))]

    def _below(self) -> list[psutil.Process]:
        try:
            below: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
            return below
        except psutil.NoSuchProcess:
            return []

    def kill(self, kind: str, which: int = 0, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one process of a kind and return its id. Waits until there is one; killed, until it is gone.

        Raises RuntimeError when it outlives a SIGKILL, and psutil's NoSuchProcess when it died by itself before.
        """
        victims = self.wait(lambda: self.processes(kind), f"a {kind}")
        victim = victims[which % len(victims)]
        victim.send_signal(number)
        if number is signal.SIGKILL and not _gone(victim):
            raise RuntimeError(f"{kind} {victim.pid} outlived its SIGKILL")
        return int(victim.pid)

    def kill_driver(self) -> int:
        """SIGKILL the driver, and end what of it is left after END_SECONDS; its process id.

        Raises RuntimeError when the driver had ended by itself: then nothing was killed.
        """
        ours = [process for kind in TITLES for process in self.processes(kind)]
        others = [process for process in self._below() if process not in ours]
        self.process.kill()
        code = self.process.wait()
        _, alive = psutil.wait_procs(ours, timeout=END_SECONDS)
        # Ray's own agents linger, and seldom a worker of Ray 2.60 stays in a mutex of its exit for ever.
        for left in (*others, *alive):
            with suppress(psutil.NoSuchProcess):
                left.kill()
        if code != -signal.SIGKILL:
            raise RuntimeError(f"the driver ended by itself before it was killed, with exit code {code}")
        return self.process.pid

    def wait(self, ready: Callable[[], Found], what: str, seconds: float = DEADLINE_SECONDS) -> Found:
        """The first true result of `ready`. Raises RuntimeError when the run ends first, or it takes too long."""
        end = time.monotonic() + seconds
        while not (found := ready()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name}: {what} never came:\n{self.text()[-4000:]}")
            time.sleep(POLL_SECONDS)
        return found

    def step_after(self, moment: float) -> dict[str, Any]:
        """The first step that was finished after `moment` (seconds since 1970). Waits for it."""
        return self.wait(lambda: [row for row in self.rows() if row["time"] > moment], "a further step")[0]

    def finish(self) -> int:
        """Wait for the end; the exit code."""
        return self.process.wait(DEADLINE_SECONDS)

    def accounts(self) -> Accounts:
        """From the journal and the logged rollouts, at the newest logged step."""
        steps = len(self.rows())
        found = replay(self.folder / "journal.jsonl", steps)
        at: dict[str, set[int]] = {}
        turns, lags = Counter[int](), [0]
        for file in sorted((self.folder / "rollouts").glob("step-*.parquet")):
            for row in pq.read_table(file, columns=["step", "task_id", "step_tokens", "policy_lag"]).to_pylist():
                at.setdefault(row["task_id"], set()).add(row["step"])
                turns[len(row["step_tokens"])] += 1
                lags.append(row["policy_lag"])
        trained = list(found.trained.values())
        return Accounts(
            given=found.next_index,
            ready=len(found.ready),
            unclaimed=len(found.unclaimed),
            trained=len(trained),
            rejected=len(found.rejected),
            steps={step: trained.count(step) for step in sorted(set(trained))},
            twice=tuple(sorted(task for task, seen in at.items() if len(seen) > 1)),
            turns=dict(turns),
            lag=max(lags),
        )


def _gone(process: psutil.Process, seconds: float = 60.0) -> bool:
    """Whether it ends within so long; one whose parent has not heard of it yet is a zombie, which runs nothing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(POLL_SECONDS / 10)
    return False


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""
