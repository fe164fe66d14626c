"""Kill anything, lose nothing: one real run (Ray, vLLM, DeepSpeed, tiny model) in which every kind of actor dies."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from evals.core.curve import points
from simulator.chaos import kill_one
from simulator.chaos_job import Job

STEPS = 1000  # more than it makes before it is told how many there are
SILENCE_SECONDS = 20
EVALUATE_EVERY = 5
SPEC = Path(__file__).parents[2] / "deploy" / "specs" / "smoke.yaml"

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

NOTES = {
    "scribe": r"scribe-0 died; starting another",
    "doctor": r"doctor-0 died; starting another",
    "buffer": r"the replay buffer died; starting another from its journal",
    "engine": r"engine engines-0\S* died, hung or failed its sync; starting another",
    "core": r"engine engines-0\S* died, hung or failed its sync; starting another",
    "rank": r"learner rank 0 died[^\n]*; starting over from the newest checkpoint",
    "driver": r"going on after step \d+: \S+ is the newest whole checkpoint",
}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """The run that the tests of this module share, in the order in which they stand."""
    home = tmp_path_factory.mktemp("faults")
    flags = {
        "steps": STEPS,
        "model.cache": home / "cache",
        "evaluation.every": EVALUATE_EVERY,
        "evaluation.tasks": 4,
        "rollout.silence_seconds": SILENCE_SECONDS,
    }
    spec = Path(shutil.copy(SPEC, home / "smoke.yaml"))
    made = Job(
        home / "runs", "faults", spec, [part for name, value in flags.items() for part in (f"--{name}", f"{value}")]
    )
    made.start()
    yield made
    made.end()
    for left in set(Path("/dev/shm").glob("psm_*")) - mapped():
        left.unlink(missing_ok=True)


def mapped() -> set[Path]:
    """The shared memory that living processes use: engines of other tests may run beside these."""
    found = set[Path]()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            found |= {Path(memory.path) for memory in process.memory_maps() if memory.path.startswith("/dev/shm/")}
    return found


@pytest.mark.parametrize("kind", ["scribe", "doctor", "buffer", "engine", "rank", "driver"])
def test_the_run_continues_when_one_is_killed(job: Job, kind: str) -> None:
    before = len(re.findall(NOTES[kind], job.text()))
    kill_one(job, kind, random.Random(0), longest_wait_seconds=0)
    assert len(re.findall(NOTES[kind], job.text())) == before + 1, job.text()
    assert not job.accounts().twice


def evaluated(job: Job) -> list[int]:
    """The policy_versions of the held-out curve."""
    return [point.policy_version for point in points(job.folder / "evaluations.jsonl").found]


def stopped_in_an_evaluation(job: Job) -> int:
    """The policy_version that is being evaluated by a core that was just stopped; 0 where none is."""
    version = len(job.rows())
    if version % EVALUATE_EVERY or version in evaluated(job):
        return 0
    core = job.kill("core", number=signal.SIGSTOP)
    time.sleep(1)  # for an answer that was on its way
    if version not in evaluated(job):
        return version
    os.kill(core, signal.SIGCONT)
    return 0


def test_an_evaluation_whose_core_is_killed_continues_with_another_under_the_same_version(job: Job) -> None:
    before = len(re.findall(NOTES["core"], job.text()))
    version = job.wait(lambda: stopped_in_an_evaluation(job), "an evaluation")
    dead, moment = job.kill("core"), time.time()
    job.wait(lambda: version in evaluated(job), "the evaluation's point")
    assert dead not in [process.pid for process in job.processes("core")]
    assert job.step_after(moment)["step"] == version + 1, "no version came while this one was evaluated"
    assert len(re.findall(NOTES["core"], job.text())) == before + 1, job.text()


def test_an_engine_whose_core_is_stopped_is_killed_and_replaced(job: Job) -> None:
    job.step_after(time.time())
    before = len(re.findall(NOTES["core"], job.text()))
    stopped = job.kill("core", number=signal.SIGSTOP)
    job.wait(lambda: [process for process in job.processes("core") if process.pid != stopped], "another core")
    assert stopped not in [process.pid for process in job.processes("core")]
    assert len(re.findall(NOTES["core"], job.text())) == before + 1, job.text()
    job.step_after(time.time())


def test_a_checkpoint_that_the_disk_refuses_is_reported_and_the_run_continues(job: Job) -> None:
    checkpoints, away = job.folder / "checkpoints", job.folder / "away"
    checkpoints.rename(away)
    checkpoints.write_text("no folder can be made here")
    told = r"the checkpoint of step \d+ could not be written \([^\n]*\): training continues"
    job.wait(lambda: re.search(told, job.text()), "the note")
    job.step_after(time.time())
    checkpoints.unlink()
    away.rename(checkpoints)


def test_a_spec_edited_to_nonsense_changes_nothing_until_it_is_read_and_then_says_what_is_wrong(job: Job) -> None:
    spec, whole = job.spec, job.spec.read_text()
    spec.write_text(whole.replace("learner: {", "learner: {lerning_rate: 1,"))
    job.step_after(time.time())
    command = [sys.executable, "-m", "deploy.selfplay", str(spec), "--resume", "--dry-run"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1
    assert ran.stderr.startswith(f"selfplay: {spec}: learner.lerning_rate: unknown field; did you mean learning_rate?")
    spec.write_text(whole)


def test_a_second_driver_cannot_join_a_run_that_is_running(job: Job) -> None:
    command = [sys.executable, "-m", "deploy.selfplay", str(job.spec), "--resume", "--metrics.port", "0"]
    flags = ["--runs", str(job.folder.parent), "--name", job.name, "--steps", f"{STEPS}"]
    ran = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2 and "another process is running it; stop that one first" in ran.stderr


def test_a_journal_that_the_disk_refuses_ends_the_run_with_one_message_and_it_can_be_resumed(job: Job) -> None:
    (buffer,) = job.processes("buffer")
    size = (job.folder / "journal.jsonl").stat().st_size
    buffer.rlimit(psutil.RLIMIT_FSIZE, (size, size))
    assert job.finish() == 2, job.text()
    (said,) = re.findall(r"^selfplay: .*", job.text(), re.MULTILINE)
    assert said.endswith("journal.jsonl cannot be written (File too large): make room, then continue with --resume")
    made = len(job.rows())
    job.start("--resume", "--steps", f"{made + 2 * EVALUATE_EVERY - made % EVALUATE_EVERY}")
    job.step_after(time.time())


def test_the_run_reaches_its_last_step_and_its_accounts_balance(job: Job) -> None:
    assert job.finish() == 0, job.text()
    steps = int(job.rows()[-1]["step"])
    accounts = job.accounts()
    assert accounts.balance and set(accounts.steps.values()) == {2}, accounts
    assert f"step {steps}/{steps} " in job.text() and steps % EVALUATE_EVERY == 0
    assert [row["step"] for row in job.rows()] == list(range(1, steps + 1))
    assert [row["policy_version"] for row in job.rows()] == list(range(1, steps + 1)), "a version was skipped"
    assert evaluated(job) == list(range(0, steps + 1, EVALUATE_EVERY)), "an evaluation was lost, or made twice"
    assert (job.folder / "model" / "config.json").is_file()
    logs = {file.name.split(".")[0] for file in (job.folder / "logs").glob("*.log")}
    assert logs == {"driver", "preparation", "buffer", "pool-engines", "engines-0", "rank-0", "scribe-0", "doctor-0"}
    assert not list((job.folder / "rollouts").glob("*.unfinished"))
    assert not list(Path("/dev/shm").glob("medserl-faults-*"))
