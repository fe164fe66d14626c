"""A whole run whose weights travel as LoRA adapters: deploy/specs/smoke.yaml with two engines, one of which dies."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from common.files import json_lines
from simulator.chaos import kill_one
from simulator.chaos_job import Job

SPEC = Path(__file__).parents[2] / "deploy" / "specs" / "smoke.yaml"
STEPS = 6

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_engines_that_serve_adapters_prove_them_from_their_layers_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    flags = {
        "steps": STEPS,
        "model.cache": tmp_path / "cache",
        "model.dtype": "float32",
        "weights.transport": "adapter",
        "pools": '[{"name": "engines", "engines": 2, "max_num_seqs": 16, "kv_cache_gib": 0.25}]',
        "warm_up.steps": 4,
    }
    spec = Path(shutil.copy(SPEC, tmp_path / "smoke.yaml"))
    given = [part for name, value in flags.items() for part in (f"--{name}", f"{value}")]
    job = Job(tmp_path / "runs", "adapters", spec, given)
    job.start()
    try:
        kill_one(job, "core", random.Random(0), longest_wait_seconds=0)
        assert job.finish() == 0, job.text()
    finally:
        job.end()
    rows = json_lines(tmp_path / "runs" / "adapters" / "metrics.jsonl").found
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1)), job.text()
    assert all(row["sync_ok"] for row in rows[-2:]) and rows[-1]["canary_gap"] < 0.01
    assert "died, hung or failed its sync; starting another" in job.text()
    assert not job.accounts().twice
