from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from common import metrics
from common.command_line import BAD_INPUT
from common.config import BufferSpec, LearnerSpec, MetricsSpec, PoolSpec, RolloutSpec, RunSpec
from common.metrics import Board
from deploy import status
from deploy.job.metrics_row import metrics_row
from deploy.job.run_folder import RunFolder
from deploy.monitoring.step_metrics import serve
from tests.deploy.job.test_run_folder import step
from tests.deploy.reports import REPORTS


def rows(waiting: float, count: int = 6) -> list[dict[str, Any]]:
    """Steps whose learner waited for this share of the time; the first one waited for all of it."""
    made = [metrics_row(step(number), REPORTS) for number in range(1, count + 1)]
    made = [row | {"seconds": 10.0, "wait_seconds": 10 * waiting} for row in made]
    return [made[0] | {"wait_seconds": 10.0}, *made[1:]]


def folder(tmp_path: Path, spec: RunSpec, logged: list[dict[str, Any]]) -> Path:
    run = tmp_path / spec.name
    run.mkdir()
    (run / "spec.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in logged) + '{"step": 9, "rew')
    return run


WIDE = {"pools": (PoolSpec(engines=2, max_num_seqs=64),), "rollout": RolloutSpec(doctors=1, concurrency=8)}


@pytest.mark.parametrize(
    ("sections", "ready", "edit"),
    [
        ({}, 0.0, "rollout.scribes: 2 (no task waits for a Doctor)"),
        ({}, 3.0, "pools.engines.engines: 2 (its 64 sequences per engine are full)"),
        ({}, None, "pools.engines.engines: 2 (its 64 sequences per engine are full)"),
        (WIDE, 3.0, "buffer.max_lag: 2, or pools.engines.engines: 3"),
        (WIDE | {"learner": LearnerSpec(batch_groups=8)}, 3.0, "rollout.doctors: 2"),
        ({"buffer": BufferSpec(max_lag=0)}, 3.0, "buffer.max_lag: 1 (a synchronous run waits by design)"),
    ],
)
def test_a_learner_that_waits_asks_for_what_is_short(sections: dict[str, Any], ready: float | None, edit: str) -> None:
    advice = status.advise(RunSpec(**sections), rows(0.63), ready)
    assert advice == status.Advice(line="the learner waits for rollouts 63% of the time", edit=edit)


def test_a_learner_that_never_waits_is_the_one_that_is_short() -> None:
    assert status.advise(RunSpec(), rows(0.01), 3).edit == ""
    assert status.advise(RunSpec(backend="cuda"), rows(0.01), 3).edit == "learner.ranks: 2"


def test_a_balanced_run_needs_no_edit() -> None:
    assert status.advise(RunSpec(), rows(0.1), 3) == status.Advice(
        line="balanced: the learner waits for rollouts 10% of the time"
    )


def test_another_jobs_figures_are_never_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = Board()
    board.set(metrics.RUN, 1, "live", "0123")
    board.set(metrics.BUFFER, 4321, "ready")
    port = board.serve(0, "127.0.0.1")
    run = folder(tmp_path, RunSpec(name="live", metrics=MetricsSpec(port=port)), rows(0.63))
    for theirs in ("", "4567"):
        (run / "job-id").write_text(theirs)
        assert status.main([str(run)]) == 0
        out = capsys.readouterr().out
        assert "does not answer" in out and "4321" not in out


def test_a_job_on_any_free_port_is_found_where_it_says_that_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = RunFolder(RunSpec(name="live", metrics=MetricsSpec(port=0)), tmp_path / "live")
    made.create()
    board = Board()
    board.set(metrics.BUFFER, 4321, "ready")
    made.serves(serve(board, made.spec, "live", made.job))
    assert status.main([str(made.path)]) == 0
    assert "4321 ready" in capsys.readouterr().out
    assert status.main([str(made.path), "--port", "0"]) == 0
    assert "does not answer" in capsys.readouterr().out


def test_two_jobs_of_one_name_are_each_shown_with_their_own_figures_and_neither_with_the_others_port(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def page(run: RunFolder, *flags: str) -> str:
        assert status.main([str(run.path), *flags]) == 0
        return capsys.readouterr().out

    made, ports = dict[str, RunFolder](), dict[str, int]()
    for who, ready in (("ann", 1234), ("ben", 5678)):
        made[who] = RunFolder(RunSpec(name="same", metrics=MetricsSpec(port=0)), tmp_path / who / "same")
        made[who].create()
        board = Board()
        board.set(metrics.BUFFER, ready, "ready")
        ports[who] = serve(board, made[who].spec, "same", made[who].job)
        made[who].serves(ports[who])
    capsys.readouterr()
    assert "1234 ready" in page(made["ann"]) and "5678 ready" in page(made["ben"])
    stolen = page(made["ann"], "--port", str(ports["ben"]))
    assert "the job does not answer" in stolen and "5678" not in stolen


def test_a_job_is_reached_over_ipv6() -> None:
    assert status.scrape("::1", Board().serve(0, "::1")) is not None


def test_a_running_job_is_read_from_its_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = Board()
    board.set(metrics.BUFFER, 7, "leased")
    board.add(metrics.ACTOR_RESTARTS.name, 2, "doctor")
    board.add(metrics.REJECTED.name, 3, "late")
    board.add(metrics.REJECTED.name, 8, "game_error")
    for metric, count in ((metrics.ACTORS, 1), (metrics.ACTORS_WANTED, 3)):
        board.set(metric, count, "engine")
    board.set(metrics.RUN, 1, "live", "0123")
    port = board.serve(0, "127.0.0.1")
    run = folder(tmp_path, RunSpec(name="live", metrics=MetricsSpec(port=port)), rows(0.63))
    (run / "job-id").write_text("0123")
    assert status.main([str(run)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^rejected +3 late, 8 game_error *$", out, re.MULTILINE)
    assert "0 ready, 7 leased" in out and "2 doctor" in out and "does not answer" not in out
    assert "rollouts 63% of the time: set rollout.scribes: 2" in out and "python -m deploy.apply SPEC" in out
    assert "1 of 3 engines, 0 of 0 scribes, 0 of 0 doctors" in out
    assert "engines: 1 in pool engines; 1 scribes, 1 doctors, 1 learner ranks" in out
    assert status.main([str(run), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["edit"] == "rollout.scribes: 2 (no task waits for a Doctor)"
    found = answer["metrics"]
    assert found["medserl_buffer_tasks leased"] == 7 and found["medserl_policy_version"] == 0


def test_a_job_that_is_gone_is_read_from_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logged = [row | {"time": time.time() - 90, "completions": 20} for row in rows(0.63)]
    run = folder(tmp_path, RunSpec(name="gone", metrics=MetricsSpec(port=0)), logged)
    assert status.main([str(run)]) == 0
    out = capsys.readouterr().out
    assert "the job does not answer" in out and "buffer" not in out
    assert "step 6 of 8, 1 min 30 s ago; 2.00 completions/s" in out and "last eval  none" in out
    assert "in its last steps the learner waits for rollouts 63% of the time; next time set pools" in out
    assert "left" not in out and "model" not in out


def test_a_finished_run_says_where_its_model_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder(tmp_path, RunSpec(name="done", steps=6), rows(0.63))
    (run / "model").mkdir()
    (run / "model" / "config.json").write_text("{}")
    assert status.main([str(run), "--port", "0"]) == 0
    assert f"model      {run / 'model'}" in capsys.readouterr().out


def test_a_run_without_a_step_has_no_table_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main([str(folder(tmp_path, RunSpec(name="new"), [])), "--port", "0"]) == 0
    assert "waits" not in capsys.readouterr().out


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main([str(tmp_path)]) == BAD_INPUT
    assert capsys.readouterr().err.startswith(f"status: {tmp_path}: no run there")


def test_metrics_behind_a_token_are_read_with_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    port = Board().serve(0, "127.0.0.1", "s3cret")
    assert status.scrape("127.0.0.1", port) is None
    assert status.scrape("127.0.0.1", port, tmp_path / "none") is None
    assert (status.scrape("127.0.0.1", port, tmp_path / "token") or {})["medserl_policy_version", ()] == 0


def test_an_alarm_in_effect_is_shown_and_one_that_is_over_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [row | {"verdict/flag_rate": 0.5 if row["step"] < 4 else 0.0} for row in rows(0.1)]
    over = [*made, made[0] | {"step": 7}]
    for name, logged, shown in (("on", made, True), ("off", over, False)):
        run = folder(tmp_path, RunSpec(name=name), logged)
        assert status.main([str(run)]) == 0
        assert ("the Doctor stops judging" in " ".join(capsys.readouterr().out.split())) == shown
