"""Whole runs of deploy/smoke.yaml: real Ray, real vLLM, real DeepSpeed, on the tiny model."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from deploy.report.rollout_tables import read_run
from tests.deploy.monitoring.prometheus_world import INSTALLED, scraping

ROOT = Path(__file__).parents[2]
DEADLINE = 420
MOVED = (
    'rate(medserl_rollout_tokens_total{role="doctor"}[1m])',
    'max_over_time(medserl_kv_cache_use{role="doctor"}[5m])',
    "increase(medserl_engine_restarts_total[5m])",
    "medserl_policy_version",
)
"""What a run in which an engine died has moved in Prometheus."""

pytestmark = [pytest.mark.integration, pytest.mark.timeout(2 * DEADLINE)]


class Job:
    """One `python -m deploy.selfplay` process and what it prints."""

    def __init__(self, home: Path, *flags: str, spec: Path = ROOT / "deploy" / "specs" / "smoke.yaml") -> None:
        self.log = home / f"log-{time.monotonic_ns()}.txt"
        common = ["--runs", str(home / "runs"), "--model.cache", str(home / "cache"), "--metrics.port", "0"]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.selfplay", str(spec), *common, *flags],
                cwd=ROOT,
                env={**os.environ, "RAY_AUTH_MODE": "disabled"},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            if found := re.search(pattern, self.text()):
                return found
            assert self.process.poll() is None, self.text()
            time.sleep(0.3)
        raise AssertionError(f"{pattern!r} never came:\n{self.text()}")

    def finish(self) -> int:
        code = self.process.wait(DEADLINE)
        return code


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("selfplay")


def engine_cores(job: Job) -> list[int]:
    """Process ids of the vLLM core processes below a job."""
    import psutil

    below = psutil.Process(job.process.pid).children(recursive=True)
    return [process.pid for process in below if "EngineCore" in "".join(process.cmdline())]


def rows_of(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_two_engines_share_the_work_one_that_dies_is_replaced_and_every_panel_shows_it(
    home: Path, tiny_model: Path
) -> None:
    pools = [
        {
            "name": "engines",
            "serves": ["scribe", "doctor"],
            "engines": 2,
            "max_num_seqs": 32,
            "kv_cache_gib": 0.25,
        }
    ]
    published = ["--model.source", str(tiny_model), "--warm_up.steps", "0"]  # an adapter of another is not exported
    job = Job(home, "--name", "two", "--steps", "8", "--buffer.max_lag", "2", "--pools", json.dumps(pools), *published)
    port = job.wait_for(r"metrics: http://127\.0\.0\.1:(\d+)/metrics").group(1)
    first_scrape = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    assert 'medserl_tasks_total{env="verdict",kind="synthetic_decoy"} 0.0' in first_scrape
    with scraping(f"127.0.0.1:{port}", home / "prometheus") if INSTALLED else nullcontext() as prometheus:
        job.wait_for(r"step 2/8")
        victim = engine_cores(job)[0]
        os.kill(victim, signal.SIGKILL)
        job.wait_for("starting another")
        job.wait_for(r"step 7/8")
        moment = time.time()
        assert job.finish() == 0, job.text()
        if prometheus is not None:
            assert prometheus.unanswered(moment) == []
            still = [query for query in MOVED if float(prometheus.found(query, moment)[0]["value"][1]) <= 0]
            assert still == []

    run = home / "runs" / "two"
    rows = rows_of(run)
    assert [row["step"] for row in rows] == list(range(1, 9))
    failed = [row["step"] for row in rows if not row["sync_ok"]]
    assert len(failed) <= 1, "only the sync in which the engine died may fail"
    assert rows[-1]["sync_ok"]
    rollouts = read_run(run)
    assert {"engines-0", "engines-1"} <= set(rollouts["engine"].to_pylist())
    assert max(rollouts["policy_lag"].to_pylist()) <= 2
    assert (run / "model" / "config.json").is_file()
    assert (run / "episodes.html").is_file() and (run / "progress.png").is_file()
    assert not list(Path("/dev/shm").glob("medserl-two-*"))


def ran(*command: str | Path) -> str:
    """What `python -m ...` prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("flags", "most"), [((), 0.0), (("--adapter",), 0.02)])
def test_the_model_of_a_run_is_exported_loaded_again_and_agrees(
    home: Path, flags: tuple[str, ...], most: float
) -> None:
    out = home / f"export{len(flags)}"
    line, *_ = ran("deploy.export", home / "runs" / "two", out, *flags).splitlines()
    assert float(line.split()[-4]) <= most, line
    weights = "adapter_model.safetensors" if flags else "model.safetensors"
    assert (out / weights).is_file() and "accuracy on its own training tasks" in (out / "README.md").read_text()
    assert str(home) not in (out / "README.md").read_text()


def test_the_doctor_of_a_run_reads_a_note_and_answers(home: Path) -> None:
    note = home / "note.txt"
    note.write_text("A fictional man of 40 has had chest pain for an hour. He takes no drugs.\n")
    said = ran("deploy.ask", home / "runs" / "two", "--text", note)
    assert " 0 A fictional man of 40 has had chest pain for an hour." in said and " 1 He takes no drugs." in said
    assert re.search(r"^(Reasoning  .+\nVerdict    .+|The reply does not follow the format \(\w+\):)$", said, re.M), (
        said
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"envs": {"verdict": {"data": {"path": "/nowhere/notes.csv"}}}}, "/nowhere/notes.csv"),
        ({"model": {"source": "/nowhere/model"}}, "/nowhere/model"),
        ({"learner": {"lerning_rate": 1.0}}, "did you mean learning_rate?"),
        ({"buffer": {"capacity": 1}}, "buffer.capacity >= learner.batch_groups"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(home: Path, change: dict[str, dict[str, object]], says: str) -> None:
    content = yaml.safe_load((ROOT / "deploy" / "specs" / "smoke.yaml").read_text())
    for section, fields in change.items():
        content[section] = {**content.get(section, {}), **fields}
    spec = home / "bad.yaml"
    spec.write_text(yaml.safe_dump({**content, "name": "bad"}))
    job = Job(home, spec=spec)
    assert job.finish() == 2, job.text()
    complaints = [line for line in job.text().splitlines() if line.startswith("selfplay: ")]
    assert len(complaints) == 1 and says in complaints[0]
    assert "Traceback" not in job.text()
    assert not (home / "runs" / "bad").exists()
