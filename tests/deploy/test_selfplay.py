from __future__ import annotations

import errno
from pathlib import Path

import msgspec
import pytest
from ray.exceptions import GetTimeoutError

from common import metrics
from common.config import BufferSpec, LearnerSpec, MetricsSpec, PoolSpec, RunSpec
from common.metrics import Board
from deploy import cli, selfplay
from deploy.job.metrics_row import metrics_row
from deploy.job.run_folder import RunFolder
from deploy.job.start import Start, starting_point
from deploy.monitoring.step_metrics import count, serve
from deploy.plan import plan
from deploy.selfplay import ending
from envs.verdict.data.medec import bundled_path
from envs.verdict.spec import DataSpec, RewardSpec, VerdictSettings
from learner import checkpoint
from simulator.fakes import remote_error
from tests.deploy.job.test_run_folder import phase, step
from tests.deploy.reports import REPORTS


def checkpointed(runs: Path, version: int) -> Path:
    folder = checkpoint.begin(runs / "mine", version)
    (folder / "rank-0.pt").write_bytes(b"x")
    (runs / "mine" / "journal.jsonl").touch()
    return checkpoint.commit(folder, step=version, policy_version=version, ranks=1, state={"loaded_gap": 0.03}).folder


def spec(runs: Path, steps: int = 8) -> RunSpec:
    return RunSpec(name="mine", runs=runs, steps=steps)


def test_a_fresh_start_takes_a_free_name_and_writes_it_into_the_spec(tmp_path: Path) -> None:
    folder, start = starting_point(spec(tmp_path), resume=False)
    assert (folder.path, folder.spec.name, start) == (tmp_path / "mine", "mine", Start())
    (tmp_path / "mine").mkdir()
    folder, _ = starting_point(spec(tmp_path), resume=False)
    assert (folder.path, folder.spec.name) == (tmp_path / "mine-2", "mine-2")


def test_a_fresh_start_fixes_the_schedule_of_the_penalty_so_that_a_longer_resume_keeps_it(tmp_path: Path) -> None:
    graded = (VerdictSettings(reward=RewardSpec(outcome="graded")),)
    folder, _ = starting_point(spec(tmp_path).model_copy(update={"envs": graded}), resume=False)
    longer = folder.spec.model_copy(update={"steps": 100})
    assert longer.settled.envs[0].reward.anneal_steps == folder.spec.envs[0].reward.anneal_steps == 4


def test_a_resumed_start_is_the_latest_checkpoint_with_its_tolerance(tmp_path: Path) -> None:
    checkpointed(tmp_path, 2)
    newest = checkpointed(tmp_path, 4)
    folder, start = starting_point(spec(tmp_path), resume=True)
    assert folder.path == tmp_path / "mine"
    assert (start.version, start.folder, start.loaded_gap, start.resumed) == (4, newest, 0.03, True)
    assert start.lines == (f"going on after step 4: {newest} is the newest whole checkpoint",)


def test_a_damaged_checkpoint_is_passed_over_by_name_and_the_run_continues_from_the_one_before(tmp_path: Path) -> None:
    whole, damaged = checkpointed(tmp_path, 2), checkpointed(tmp_path, 4)
    (damaged / "rank-0.pt").write_bytes(b"y")
    folder, start = starting_point(spec(tmp_path), resume=True)
    assert (start.version, start.folder) == (2, whole)
    assert start.lines[0] == (
        f"checkpoint passed over: {damaged / 'rank-0.pt'} has changed since it was written (sha256)"
    )
    assert damaged.is_dir(), "a dry run must change nothing"
    folder.resume(start.version)
    assert not damaged.exists() and damaged.with_name("step-00004.damaged").is_dir()


def test_a_run_that_was_killed_before_its_first_checkpoint_continues_at_step_one(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "journal.jsonl").touch()
    _, start = starting_point(spec(tmp_path), resume=True)
    assert (start.version, start.folder, start.resumed) == (0, None, True)
    assert start.lines == ("going on at step 1, with the tasks in the journal: there is no whole checkpoint",)


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has nothing to resume from: start without --resume"):
        starting_point(spec(tmp_path), resume=True)


@pytest.mark.parametrize("remote", [False, True])
def test_a_full_disk_ends_a_run_in_one_line_that_says_what_to_do(remote: bool) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    line = ending(remote_error(full) if remote else full)
    assert "No space left on device" in line and line.endswith("make room on that disk; then resume")
    assert "\n" not in line


THERE = "a file is there already: remove it, or write another path"
YOURS = "write to a folder of yours, or get the right to write there"


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError("no answer within 30 s"), "TimeoutError: no answer within 30 s"),
        (
            FileExistsError(errno.EEXIST, "File exists"),
            "File exists; a file is there already: remove it, or write another path; then resume",
        ),
        (PermissionError(errno.EACCES, "Permission denied"), f"Permission denied; {YOURS}; then resume"),
        (GetTimeoutError("Get timed out"), "GetTimeoutError: Get timed out"),
    ],
)
def test_what_no_full_disk_caused_is_not_told_as_one(error: OSError, said: str, remote: bool) -> None:
    assert ending(remote_error(error) if remote else error) == said


def test_a_finished_run_asks_for_more_steps(tmp_path: Path) -> None:
    checkpointed(tmp_path, 8)
    with pytest.raises(ValueError, match="resume with a larger --steps"):
        starting_point(spec(tmp_path, steps=8), resume=True)
    assert starting_point(spec(tmp_path, steps=9), resume=True)[1].version == 8


def test_a_dry_run_prints_the_plan_and_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfplay, "play", lambda *_: pytest.fail("started"))
    flags = ["--dry-run", "--runs", str(tmp_path / "runs"), "--steps", "3"]
    assert selfplay.main(["deploy/smoke.yaml", *flags]) == 0
    text = capsys.readouterr().out
    assert "steps: 3" in text and f"# run folder      {tmp_path / 'runs' / 'smoke'}" in text
    assert "\n# data            120 notes of 60 vignettes; of 47 training vignettes 47 in augmented tasks" in text
    assert "\n# not the default buffer.capacity 12, " in text and ", steps 3, warm_up.steps 20\n" in text
    assert not (tmp_path / "runs").exists()


def test_a_laptop_leaves_rewording_to_rules_says_why_and_one_flag_asks_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["deploy/laptop.yaml", "--dry-run", "--runs", str(tmp_path / "runs")]
    said = "; rules reword the sentences, for a small model seldom keeps every fact: data.proposer_tries above 0 asks"
    assert selfplay.main(flags) == 0
    assert said in capsys.readouterr().out
    assert selfplay.main([*flags, "--envs.verdict.data.proposer_tries", "2"]) == 0
    assert said not in capsys.readouterr().out


def test_a_dry_run_says_that_tier_c_waits_for_its_exam(tmp_path: Path) -> None:
    pools = (PoolSpec(), PoolSpec(name="frozen", serves=("verifier",)))
    run = RunSpec(pools=pools, envs=(VerdictSettings(data=DataSpec(tier_c=True)),))
    assert "\n# tier C          exam before the Scribes start: a margin above which 95% of" in plan(run, tmp_path)
    assert "tier C" not in plan(RunSpec(), tmp_path)


def test_rows_that_were_skipped_are_reported_with_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = bundled_path().read_text(encoding="utf-8")
    (tmp_path / "notes.csv").write_text(notes.replace(",diagnosis,", ",guess,", 1), encoding="utf-8")
    flags = ["--dry-run", "--runs", str(tmp_path / "runs"), "--data", str(tmp_path / "notes.csv")]
    with pytest.raises(SystemExit):
        selfplay.main(["deploy/smoke.yaml", *flags])
    assert "field 'Error Type': unknown type 'guess'" in capsys.readouterr().err
    assert selfplay.main(["deploy/smoke.yaml", *flags, "--skip-bad-rows"]) == 0
    assert "119 notes of 60 vignettes; left out: 1 bad_row; the first bad row: " in capsys.readouterr().out


def test_skip_bad_rows_is_the_short_form_of_its_field() -> None:
    short = cli.parse(["deploy/smoke.yaml", "--skip-bad-rows"]).spec
    assert short == cli.parse(["deploy/smoke.yaml", "--envs.verdict.data.skip_bad_rows", "true"]).spec
    assert short != cli.parse(["deploy/smoke.yaml"]).spec


def test_bad_input_found_late_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--envs", "chess"], ["--data", "none.csv"], ["--resume"]):
        with pytest.raises(SystemExit) as caught:
            selfplay.main(["deploy/smoke.yaml", "--dry-run", "--runs", str(tmp_path), *flags])
        error = capsys.readouterr().err
        assert caught.value.code == 2 and error.startswith("selfplay: ") and error.count("\n") == 1


def test_the_plan_states_the_staleness_bound(tmp_path: Path) -> None:
    run = RunSpec(buffer=BufferSpec(max_lag=2), learner=LearnerSpec(batch_groups=3))
    assert "lag <= 2: at most 9 groups between lease and training" in plan(run, tmp_path)


def test_a_taken_metrics_port_says_what_to_do() -> None:
    port = Board().serve(0, "127.0.0.1")
    with pytest.raises(ValueError, match="choose another, or 0 for any free one"):
        serve(Board(), RunSpec(metrics=MetricsSpec(port=port)), "r", "0123")


def test_a_token_file_must_hold_a_token(tmp_path: Path) -> None:
    for content in (None, "", " \n"):
        if content is not None:
            (tmp_path / "token").write_text(content)
        with pytest.raises(ValueError, match="write a token of your choice into it"):
            serve(Board(), RunSpec(metrics=MetricsSpec(port=0, token_file=tmp_path / "token")), "r", "0123")


def test_metrics_beyond_this_machine_are_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    serve(Board(), RunSpec(metrics=MetricsSpec(port=0, host="0.0.0.0", token_file=tmp_path / "token")), "r", "0123")
    assert f"reachable from other machines, with the token in {tmp_path / 'token'}" in capsys.readouterr().out


def test_a_step_is_on_the_board() -> None:
    board = Board()
    for number in (1, 2):
        count(board, step(number), metrics_row(step(number), REPORTS))
    assert board.total(metrics.LEARNER_STEPS) == 2 and board.total(metrics.LEARNER_TOKENS) == 200
    assert board.total(metrics.SYNCS, "ok") == 2
    assert board.registry.get_sample_value("medserl_policy_version") == 2
    assert board.registry.get_sample_value("medserl_sync_ok") == 1
    assert board.registry.get_sample_value("medserl_reward_component_mean", {"component": "outcome"}) == -1


def test_a_scribe_phase_is_on_the_board() -> None:
    board = Board()
    for scribe in (phase(0.25, 0.75), phase(starved=True)):
        with_phase = msgspec.structs.replace(step(1), scribe=scribe)
        count(board, with_phase, metrics_row(with_phase, REPORTS))
    assert board.total(metrics.SCRIBE_STEPS) == 2 and board.total(metrics.SCRIBE_STARVED) == 1
    assert board.registry.get_sample_value("medserl_scribe_reward_mean") == 0.5
    assert board.registry.get_sample_value("medserl_scribe_policy_version") == 7
    assert board.total(metrics.SYNCS, "ok") == 4


def test_a_resumed_start_knows_the_scribe_of_its_checkpoint(tmp_path: Path) -> None:
    folder = checkpoint.begin(tmp_path / "mine", 4)
    (folder / "rank-0.pt").write_bytes(b"x")
    state = {"loaded_gap": 0.03, "scribe": {"policy_version": 2, "loaded_gap": 0.04}}
    checkpoint.commit(folder, step=4, policy_version=4, ranks=1, state=state)
    (tmp_path / "mine" / "journal.jsonl").touch()
    _, start = starting_point(spec(tmp_path), resume=True)
    assert (start.version, start.scribe_version, start.scribe_loaded_gap) == (4, 2, 0.04)


def test_the_console_of_a_run_is_kept_in_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(folder: RunFolder, *_: object) -> int:
        folder.create()
        raise ValueError("a mistake that was found late")

    monkeypatch.setattr(selfplay, "play", failing)
    with pytest.raises(SystemExit):
        selfplay.main(["deploy/smoke.yaml", "--runs", str(tmp_path / "runs"), "--metrics.port", "0"])
    said = capsys.readouterr()
    kept = (tmp_path / "runs" / "smoke" / "run.log").read_text()
    assert kept.startswith("== ") and kept.partition("\n")[2] == said.out + said.err
    assert "data: 120 notes" in kept and kept.endswith("selfplay: a mistake that was found late\n")


@pytest.mark.parametrize(("error", "files"), [(ValueError("refused"), set()), (RuntimeError("died"), {"run.log"})])
def test_before_a_run_began_a_refusal_leaves_nothing_and_a_failure_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, files: set[str]
) -> None:
    def failing(*_: object) -> int:
        raise error

    monkeypatch.setattr(selfplay, "play", failing)
    with pytest.raises((SystemExit, RuntimeError)):
        selfplay.main(["deploy/smoke.yaml", "--runs", str(tmp_path / "runs"), "--metrics.port", "0"])
    left = {path.name for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert left - {"lock", "job-id"} == files


def test_a_run_of_a_taken_name_says_what_it_is_called_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selfplay, "play", lambda *_: 0)
    given = ["deploy/smoke.yaml", "--runs", str(tmp_path), "--metrics.port", "0"]
    (tmp_path / "smoke").mkdir()
    assert selfplay.main(given) == 0
    assert "run smoke exists: this one is smoke-2 (--resume continues the old one)\n" in capsys.readouterr().out
