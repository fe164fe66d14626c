"""Two jobs of one name on one Ray cluster and one machine at once: neither touches or shows what is the other's."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import status, stop
from deploy.job import run_state
from simulator.chaos_job import Job
from tests.deploy.ray_head import ray_head

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "deploy" / "specs" / "smoke.yaml"
NAME = "one-name"
STEPS = 999  # both are at work until they are stopped
DOCTORS = {"ann": 1, "ben": 2}
SECONDS = 420.0

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster that both jobs join."""
    with ray_head(ROOT, tmp_path_factory.mktemp("ray") / "log.txt") as head:
        head.wait()
        yield head.address


def started(who: str, home: Path) -> Job:
    """The job of that user, with a folder of runs of their own."""
    flags = {
        "steps": STEPS,
        "rollout.doctors": DOCTORS[who],
        "learner.checkpoint_every": 100,
        "warm_up.steps": 2,
        "sampling.max_tokens": 24,
        "model.cache": home / "cache",
    }
    job = Job(home / who, NAME, SPEC, [part for name, value in flags.items() for part in (f"--{name}", str(value))])
    job.start()
    job.wait((job.folder / "job-id").is_file, "its folder", SECONDS)
    return job


def segments() -> set[str]:
    """What runs of the name have in shared memory."""
    return {path.name for path in Path("/dev/shm").glob(f"medserl-{NAME}*")}


def waited(ready: Callable[[], bool], jobs: dict[str, Job], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not ready():
        for who, job in jobs.items():
            assert job.process.poll() is None, f"{who} ended before {what}:\n{job.text()[-4000:]}"
        assert time.monotonic() < end, f"{what} never came:\n{jobs['ben'].text()[-4000:]}"
        time.sleep(0.5)


def test_of_two_jobs_of_one_name_at_once_each_shows_its_own_figures_and_stops_alone(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    jobs = {who: started(who, tmp_path) for who in DOCTORS}

    def shown(who: str) -> dict[str, Any]:
        assert status.main([str(jobs[who].folder), "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    def page(who: str) -> str:
        assert status.main([str(jobs[who].folder)]) == 0
        return capsys.readouterr().out

    def both_at_work() -> bool:
        if not all((job.folder / "spec.yaml").is_file() for job in jobs.values()):
            return False
        answers = [shown(who) for who in jobs]
        serving = [(answer["metrics"] or {}).get("medserl_actors doctor") for answer in answers]
        return len(segments()) >= 2 and serving == [*DOCTORS.values()]

    waited(both_at_work, jobs, "both at work")
    ids, pages = set[str](), list[str]()
    for who, job in jobs.items():
        found, text = shown(who)["metrics"], page(who)
        ids.add(run_state.job_of(job.folder)[0])
        info = {"medserl_run_info", job.folder.name, run_state.job_of(job.folder)[0]}
        assert [value for series, value in found.items() if set(series.split()) == info] == [1], found
        assert f"{DOCTORS[who]} of {DOCTORS[who]} doctors" in text
        assert re.search(rf"^run +{job.folder.name} on cpu: running *$", text, re.MULTILINE), text
        pages.append(f"{who} at work\n{text}")
    assert len(ids) == 2

    assert stop.main([str(jobs["ann"].folder)]) == 0 and jobs["ann"].finish() == 0, jobs["ann"].text()
    steps = len(jobs["ben"].rows())
    waited(lambda: len(jobs["ben"].rows()) > steps, {"ben": jobs["ben"]}, "a step of ben's after ann's end")
    assert len({name for name in segments() if name.endswith("-weights")}) == 1, "ben's is left, and ann's is gone"
    pages.append(f"ben after ann's end\n{page('ben')}")
    assert stop.main([str(jobs["ben"].folder)]) == 0 and jobs["ben"].finish() == 0, jobs["ben"].text()
    capsys.readouterr()
    assert segments() == set()

    for who, job in jobs.items():
        answer, accounts = shown(who), job.accounts()
        assert (answer["state"], answer["answers"], answer["metrics"]) == ("stopped", False, None)
        assert 0 < answer["steps"] == len(accounts.steps) and answer["of"] == STEPS and accounts.balance
        pages.append(f"{who} at the end\n{page(who)}")
    tasks = [(jobs[who].folder / "journal.jsonl").read_bytes() for who in jobs]
    assert tasks[0] != tasks[1]
    print("\n".join(pages))
