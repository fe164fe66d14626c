"""The smoke spec over the broadcast transport with two engines, one of which is killed in the middle of a sync."""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path

import psutil
import pytest

from simulator.chaos_job import Job

SPEC = Path(__file__).parents[2] / "deploy" / "specs" / "smoke.yaml"
POOL = {"name": "engines", "serves": ["scribe", "doctor"], "engines": 2, "max_num_seqs": 16, "kv_cache_gib": 0.25}
STEPS = 4

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def listens_at(process: psutil.Process) -> set[int]:
    """The ports at which a process listens; each group has a store at rank 0."""
    return {one.laddr.port for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN}


def killed_in_a_sync(job: Job) -> int:
    """The core that is killed as soon as rank 0 has opened the store of the first group."""
    log = job.folder / "logs" / "driver.log"
    job.wait(
        lambda: log.is_file() and len(re.findall(r"engine engines-\d serves", log.read_text())) == 2, "two engines"
    )
    (rank,), cores = job.processes("rank"), job.processes("core")
    before, end = listens_at(rank), time.monotonic() + 300
    while not listens_at(rank) - before:
        assert time.monotonic() < end, "no sync began"
    cores[0].kill()
    return int(cores[0].pid)


def test_a_run_over_broadcast_continues_when_an_engine_is_killed_in_a_sync(tmp_path: Path) -> None:
    flags = {
        "steps": STEPS,
        "pools": json.dumps([POOL]),
        "weights.transport": "broadcast",
        "model.cache": tmp_path / "cache",
    }
    job = Job(
        tmp_path / "runs",
        "broadcast",
        SPEC,
        [part for name, value in flags.items() for part in (f"--{name}", f"{value}")],
    )
    job.start()
    killed_in_a_sync(job)
    assert job.finish() == 0, job.text()

    (replaced,) = re.findall(r"engine (engines-\d) died, hung or failed its sync; starting another", job.text())
    sent = (job.folder / "logs" / "rank-0.log").read_text()
    assert re.search(rf"sent policy_version 1 to engines-\d, engines-\d; failed: \{{'{replaced}'", sent), sent
    rows = job.rows()
    assert [row["policy_version"] for row in rows] == list(range(1, STEPS + 1))
    assert all(math.isfinite(row["canary_gap"]) for row in rows)
    assert job.accounts().balance
