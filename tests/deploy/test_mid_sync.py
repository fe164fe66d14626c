"""Whole runs of deploy/specs/smoke.yaml over `adapter` and over `shm` with two engines, one of which is killed while it
takes new weights. tests/deploy/test_broadcast_run.py is the same for `broadcast`."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from common.records import Record
from common.shared_memory import SHARED_MEMORY
from simulator.chaos_job import Job

SPEC = Path(__file__).parents[2] / "deploy" / "specs" / "smoke.yaml"
POOL = {"name": "engines", "serves": ["scribe", "doctor"], "engines": 2, "max_num_seqs": 16, "kv_cache_gib": 0.25}
STEPS = 6
LOOK_SECONDS = 0.002  # a load of the tiny model takes fifty times as long
SYNC_SECONDS = 240.0

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


class Caught(Record):
    """An engine whose core is stopped in the middle of the sync of `version`."""

    engine: str
    core: int
    version: int


def engine_of(core: psutil.Process) -> str:
    """By the log that the actor above it writes."""
    files = (Path(file.path).stem for process in core.parents() for file in process.open_files())
    return next(name for name in files if name.startswith("engines-"))


def at_once(job: Job, ready: Callable[[], bool]) -> None:
    """Return as soon as `ready`, within a step of the run."""
    end = time.monotonic() + SYNC_SECONDS
    while not ready():
        assert job.process.poll() is None and time.monotonic() < end, f"no sync began:\n{job.text()[-4000:]}"
        time.sleep(LOOK_SECONDS)


def sent(job: Job, version: int) -> str:
    """What rank 0 says of a version, once all its calls to the engines are over."""
    found = re.search(rf"sent policy_version {version} .*", (job.folder / "logs" / "rank-0.log").read_text())
    return found[0] if found else ""


def loading_an_adapter(job: Job) -> Caught | None:
    """A core that has not loaded the version that the other engine has loaded: both were told so at the same time."""

    def staged() -> set[int]:
        folders = SHARED_MEMORY.glob(f"medserl-{job.name}-*-adapters/v*/adapter_config.json")
        return {int(file.parent.name[1:]) for file in folders}

    def loaded() -> set[str]:
        line = f"serves policy_version {max(staged())}, by its adapter"
        return {log.stem for log in (job.folder / "logs").glob("engines-*.log") if line in log.read_text()}

    before, core = staged(), job.processes("core")[0]
    at_once(job, lambda: bool(staged() - before))
    core.suspend()
    engine = engine_of(core)
    job.wait(lambda: loaded() - {engine}, "the other engine")
    if engine not in loaded() and not sent(job, max(staged())):
        return Caught(engine=engine, core=core.pid, version=max(staged()))
    core.resume()
    return None


def reading_a_segment(job: Job) -> Caught | None:
    """A core whose engine's progress file names the tensor that it is at, and stays."""
    (rank,) = job.processes("rank")
    files = f"medserl-{job.name}-{rank.pid}-*-weights.*"
    cores = {engine_of(core): core for core in job.processes("core")}

    def reading() -> set[str]:
        return {file.name.rpartition("-weights.")[2] for file in SHARED_MEMORY.glob(files)}

    at_once(job, lambda: bool(reading()))
    version = len(job.rows()) + 1
    for engine in reading():
        cores[engine].suspend()
        if engine in reading() and not sent(job, version):
            return Caught(engine=engine, core=cores[engine].pid, version=version)
        cores[engine].resume()
    return None


@pytest.mark.parametrize(
    ("transport", "catch", "call"),
    [("adapter", loading_an_adapter, "load_adapter"), ("shm", reading_a_segment, "update_weights")],
)
def test_a_run_continues_when_an_engine_is_killed_while_it_takes_new_weights(
    transport: str, catch: Callable[[Job], Caught | None], call: str, tmp_path: Path
) -> None:
    flags = {
        "steps": STEPS,
        "pools": json.dumps([POOL]),
        "weights.transport": transport,
        "model.cache": tmp_path / "cache",
        "model.dtype": "float32",
        "warm_up.steps": 4,
    }
    given = [part for name, value in flags.items() for part in (f"--{name}", f"{value}")]
    job = Job(tmp_path / "runs", f"mid-{transport}", SPEC, given)
    job.start()
    try:
        job.wait(lambda: len(re.findall(r"engine engines-\d serves", driver_log(job))) == 2, "two engines")
        caught = job.wait(lambda: catch(job), "an engine in the middle of a sync")
        psutil.Process(caught.core).kill()
        assert job.finish() == 0, job.text()
    finally:
        job.end()
    # The witness: rank 0 was waiting for this very call of this engine, and the other one got the version.
    assert re.search(rf"; failed: \{{'{caught.engine}': '{call}: [^']*'\}}$", sent(job, caught.version)), job.text()
    rows = job.rows()
    assert [row["policy_version"] for row in rows] == list(range(1, STEPS + 1)), job.text()
    assert not rows[caught.version - 1]["sync_ok"] and rows[-1]["sync_ok"]
    assert all(math.isfinite(row["canary_gap"]) and row["canary_gap"] < 0.01 for row in rows)
    assert len(re.findall(r"died, hung or failed its sync; starting another", job.text())) == 1
    for row in rows:
        agreement = rf"canary {row['canary_gap']:.4f} .* ok {'yes' if row['sync_ok'] else 'NO'} "
        assert re.search(rf"step {row['step']}/{STEPS} .* {agreement}", job.text()), job.text()
    assert f"{STEPS - 1} of {STEPS} syncs ok" in job.text()
    assert job.accounts().balance
    assert not list(SHARED_MEMORY.glob(f"medserl-{job.name}-*"))


def driver_log(job: Job) -> str:
    file = job.folder / "logs" / "driver.log"
    return file.read_text() if file.is_file() else ""
