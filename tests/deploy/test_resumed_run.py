"""A synchronous real run (Ray, vLLM, DeepSpeed, tiny model) that is killed and resumed continues as one never killed.

One request at a time in the engine: its draws are then the same in every run of the spec. A group of one needs the
algorithm without a baseline, a Scribe that asks the model would be a second request, and without a KL term equal
rewards would make every loss 0.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.report.rollout_tables import read_run
from simulator.chaos_job import Job

STEPS, CHECKPOINT_EVERY = 7, 3
SPEC = Path(__file__).parents[2] / "deploy" / "specs" / "reproducible.yaml"
OF_THE_CLOCK = ("time", "seconds", "_per_second", "fresh_logp_difference")
"""Names of what may differ. Fresh rollouts are several requests at once; they are measured, and not trained on."""

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def settled(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.endswith(OF_THE_CLOCK)}


def copy_as_if_killed_now(job: Job, folder: Path) -> None:
    """What a SIGKILL of everything would leave on the disk; a third start would cost half a minute."""
    stopped = [psutil.Process(job.process.pid), *job.processes("buffer"), *job.processes("rank")]
    for process in stopped:
        process.suspend()
    shutil.copytree(job.folder, folder)
    for process in stopped:
        process.resume()


def test_a_run_killed_between_checkpoints_and_resumed_is_the_run_never_killed_to_the_last_bit(tmp_path: Path) -> None:
    flags = ["--model.cache", str(tmp_path / "cache")]
    calm, killed = (Job(tmp_path / "runs", name, SPEC, flags) for name in ("calm", "killed"))
    calm.start()
    calm.wait(lambda: len(calm.rows()) > CHECKPOINT_EVERY, "a step after the checkpoint")
    copy_as_if_killed_now(calm, killed.folder)
    assert len(killed.rows()) < STEPS, "it had ended before it was killed"
    assert calm.finish() == 0, calm.text()
    killed.start("--resume")
    assert killed.finish() == 0, killed.text()
    assert re.search(f"going on after step [{CHECKPOINT_EVERY}{2 * CHECKPOINT_EVERY}]: ", killed.text())

    rows = [settled(row) for row in calm.rows()]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert len({row["loss"] for row in rows}) == STEPS and {row["policy_lag"] for row in rows} == {0}
    assert [settled(row) for row in killed.rows()] == rows, "losses, rewards, norms, canaries"
    one, other = (read_run(job.folder).to_pylist() for job in (calm, killed))
    assert len({tuple(rollout["token_ids"]) for rollout in one}) > STEPS, "the policy's words vary"
    assert other == one, "the same notes, in the same order, with the same replies"
