"""A user's day as in the README: ray start, submit, watch in Prometheus, scale by editing the spec."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.files import json_lines
from deploy import status, stop
from deploy.report.rollout_tables import read_run
from learner import checkpoint
from simulator.chaos_job import Job
from tests.deploy.monitoring.prometheus_world import INSTALLED, Prometheus, scraping
from tests.deploy.ray_head import RayHead, free_ports, ray_head

ROOT = Path(__file__).parents[2]
STEPS = 1000  # more than it makes: the user stops it
SEEN_SECONDS = 60
ENGINE_SECONDS = 120  # to load one while everybody works
LEFT_OUT = shutil.ignore_patterns(".*", "runs", "__pycache__")

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


class Day:
    """A checkout, a Ray cluster of its own, and what a user types there."""

    def __init__(self, home: Path, tree: Path, head: RayHead) -> None:
        self.tree, self._head = tree, head
        self.spec, self.runs = self.tree / "day.yaml", self.tree / "runs"
        self.run = self.runs / "day"
        self.log = home / "job.txt"
        (self.port,) = free_ports(1)
        self.job: subprocess.Popen[bytes] | None = None

    def write(self, **edits: Any) -> None:
        """The spec as the user has it in his editor now."""
        content = yaml.safe_load((ROOT / "deploy" / "specs" / "smoke.yaml").read_text())
        content |= {"name": "day", "steps": STEPS, "warm_up": {"steps": 4}, "metrics": {"port": self.port}}
        content["model"]["cache"] = str(self.tree.parent / "cache")
        content["learner"]["checkpoint_every"] = STEPS
        content["rollout"] = {"doctors": edits.get("doctors", 1)}
        content["pools"][0]["engines"] = edits.get("engines", 1)
        self.spec.write_text(yaml.safe_dump(content))

    def submit(self) -> None:
        while not self._answers():
            assert self._head.process.poll() is None, self._head.log.read_text()
            time.sleep(0.2)
        command = [sys.executable, "-m", "deploy.selfplay", self.spec.name, "--runs", str(self.runs)]
        flags = ["--address", self._head.dashboard, "--working-dir", "."]
        self.job = self._head.ray("job", "submit", *flags, "--", *command, out=self.log)

    def _answers(self) -> bool:
        try:
            return bool(urllib.request.urlopen(f"{self._head.dashboard}/api/version", timeout=5).read())
        except OSError:
            return False

    def apply(self, **edits: Any) -> str:
        self.write(**edits)
        command = [sys.executable, "-m", "deploy.apply", self.spec.name]
        environment = self._head.environment
        made = subprocess.run(command, cwd=self.tree, env=environment, capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stderr + self.log.read_text()
        return made.stdout

    def wait(self, ready: Callable[[], Any], what: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end, f"{what} did not come within {seconds:g} s:\n{self.log.read_text()[-4000:]}"
            assert self.job is not None and self.job.poll() is None, self.log.read_text()[-4000:]
            time.sleep(0.5)

    def series(self) -> status.Series:
        return status.scrape("127.0.0.1", self.port) or {}

    def served(self) -> set[str]:
        """The engines that sampled what was trained."""
        return set(read_run(self.run)["engine"].to_pylist())

    def end(self) -> None:
        """Nothing is left of the job's own process."""
        if self.job is not None:
            self.job.kill()
            self.job.wait()


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    tree = Path(shutil.copytree(ROOT, tmp_path / "tree", ignore=LEFT_OUT))
    with ray_head(tree, tmp_path / "ray.txt") as head:
        made = Day(tmp_path, tree, head)
        try:
            made.write()
            made.submit()
            yield made
        finally:
            made.end()


@pytest.fixture
def prometheus(day: Day, tmp_path: Path) -> Iterator[Prometheus | None]:
    if not INSTALLED:
        yield None
        return
    with scraping(f"127.0.0.1:{day.port}", tmp_path / "prometheus") as server:
        yield server


def test_a_submitted_job_is_scaled_by_editing_its_spec_and_loses_nothing(
    day: Day, prometheus: Prometheus | None, capsys: pytest.CaptureFixture[str]
) -> None:
    def completions() -> float:
        return day.series().get(("medserl_completions_total", ("doctor",)), 0)

    def shown(kind: str, count: int, seconds: float) -> None:
        """In deploy.status and in Prometheus; and work goes on."""

        def in_status() -> bool:
            status.main([str(day.run)])
            return f"{count} of {count} {kind}s" in capsys.readouterr().out

        before = completions()
        day.wait(in_status, f"{count} {kind}s", seconds)
        if prometheus is not None:
            for name in ("actors", "actors_wanted"):
                prometheus.waited(f'medserl_{name}{{actor="{kind}"}} == {count}', SEEN_SECONDS)
        day.wait(lambda: completions() > before, "another completion", SEEN_SECONDS)

    day.wait(lambda: day.run.is_dir() and completions(), "the first completion", 240)
    assert "rollout.doctors: 1 -> 3" in day.apply(doctors=3)
    shown("doctor", 3, SEEN_SECONDS)
    assert "rollout.doctors: 3 -> 1" in day.apply(doctors=1)
    shown("doctor", 1, SEEN_SECONDS)
    assert "pools.engines.engines: 1 -> 2" in day.apply(engines=2)
    shown("engine", 2, ENGINE_SECONDS)
    day.wait(lambda: "engines-1" in day.served(), "a trained rollout of the second engine", SEEN_SECONDS)
    assert "pools.engines.engines: 2 -> 1" in day.apply(engines=1)
    shown("engine", 1, SEEN_SECONDS)
    if prometheus is not None:
        for never in ("resets(medserl_completions_total[10m])", "abs(medserl_buffer_imbalance)"):
            assert prometheus.found(f"max_over_time(({never})[10m:1s]) > 0") == []
    assert stop.main([str(day.run)]) == 0
    assert day.job is not None and day.job.wait(300) == 0, day.log.read_text()

    found = checkpoint.newest(day.run).checkpoint
    assert found is not None and found.manifest.step == len(json_lines(day.run / "metrics.jsonl").found) < STEPS
    said, changes = day.log.read_text(), (day.run / "changes.jsonl").read_text().splitlines()
    assert f"{day.run / 'spec.yaml'} --resume" in said and "died" not in said and "gave up" not in said
    doctors, engines = "rollout.doctors", "pools.engines.engines"
    made = [(change["field"], change["from"], change["to"]) for change in map(json.loads, changes)]
    assert made == [(doctors, 1, 3), (doctors, 3, 1), (engines, 1, 2), (engines, 2, 1)]
    accounts = Job(day.runs, "day", day.spec, []).accounts()
    assert accounts.balance and set(accounts.steps.values()) == {2}
    assert day.served() == {"engines-0", "engines-1"}
    assert max(read_run(day.run)["policy_lag"].to_pylist()) <= 1
