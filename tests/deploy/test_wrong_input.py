"""What a person may type or find by mistake: each command says in one line what is wrong, and what to do."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from common.command_line import BAD_INPUT
from common.config import RunSpec
from deploy.__main__ import main
from deploy.job.run_folder import RunFolder
from tests.common.users import as_other_user
from tests.deploy.job.test_run_folder import log


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with runs/one and runs/two, files that hold little, and an empty folder."""
    for name in ("one", "two"):
        folder = RunFolder(RunSpec(name=name), tmp_path / "runs" / name)
        folder.create()
        log(folder, 1)
        folder._lock.close()
    (tmp_path / "empty").mkdir()
    (tmp_path / "afile").write_text("hello\n")
    (tmp_path / "typo.yaml").write_text("name: x\nlerner: {ranks: 2}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], command: str) -> str:
    """The one line of a command that fails."""
    try:
        code = main(shlex.split(command))
    except SystemExit as ended:
        code = int(str(ended.code))
    error = capsys.readouterr().err
    assert code == BAD_INPUT and error.count("\n") == 1 and "Traceback" not in error
    return error


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("plan empty", "empty: is a folder; write the path of a YAML file"),
        ("plan runs/one", "runs/one: is a folder; write runs/one/spec.yaml"),
        ("plan typo.yaml", "typo.yaml: lerner: unknown field; did you mean learner?"),
        ("plan laptop --filters.difficulty 3", "filters.difficulty.1: Field required\n"),
        ("plan laptop --steps 1.5", "steps: Input should be a valid integer, not '1.5'"),
        ("selfplay laptop --dry-run --runs afile", "a file is where a folder should be"),
        ("view runs/one --port 80", "--port 80 goes with --live"),
        ("view runs/one --live --port -1", "'-1': write a port"),
        ("status runs/one --port 99999", "'99999': write a port, a whole number up to 65535"),
        ("runs compar one two", "unknown command runs compar; did you mean runs compare?"),
        ("runs compare one two --out both.txt", "--out both.txt: write a folder, or a name that ends in .png"),
        ("plan laptop --pools '[{name: a'", 'pools: Missing end delimiter "]"\n'),
        ("plan laptop --runs ''", "runs: '' is no path\n"),
        (
            "plan laptop --envs '[{id: clinic, domains: [surgery]}]'",
            "'drug_interaction' or 'clinical_diagnosis', not 'surgery'\n",
        ),
        ("check-env verdict --settings afile", "--settings afile: write fields of the game"),
        ("check-env clinic --settings '{domain: [a]}'", "clinic.domain: unknown field; did you mean domains?"),
        ("check-env clinic --settings '{domains: [surgery]}'", "or 'clinical_diagnosis', not 'surgery'\n"),
        ("check-env clinic --count 0", "argument --count: '0': write a whole number from 1"),
        ("ask runs/one --task 99999", "argument --task: '99999': write a whole number up to 10000"),
        ("eval --baselines --spec laptop", "--spec says how a --model is asked"),
        ("eval --suite clinic --baselines --domains drug_interactions", "did you mean drug_interaction?"),
        ("eval --suite clinic --baselines --domains ''", "--domains (empty): write some of"),
        ("eval --suite oversight --baselines --spec typo.yaml", "lerner: unknown field; did you mean learner?"),
    ],
)
def test_a_mistake_is_one_line_with_its_remedy(
    home: Path, capsys: pytest.CaptureFixture[str], command: str, told: str
) -> None:
    assert told in refusal(capsys, command)


def test_a_working_directory_that_was_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "the working directory was removed" in refusal(capsys, "plan laptop")


def test_a_command_whose_output_is_closed_ends_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["completion", "bash"]) == 0


def test_a_folder_that_is_a_run_holds_no_runs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "runs/one"]) == 0
    assert "no runs in runs/one, which is a run itself" in capsys.readouterr().out


def test_the_picture_of_a_comparison_goes_into_a_folder_that_is_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split("runs compare one two --out empty")) == 0
    assert "picture: empty/compare-one-two.png" in capsys.readouterr().out
    assert (home / "empty" / "compare-one-two.png").is_file()


def test_rows_of_parity_may_be_named_in_small_letters() -> None:
    assert main(shlex.split("parity --no-controls --rows sa27")) == 0


def replaced(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (shutil.rmtree, "runs/one: 1 steps are logged, but their rollouts/step-*.parquet are gone"),
        (replaced, "runs/one/rollouts: is a file where a folder should be"),
    ],
)
def test_a_run_without_its_rollouts_is_not_taken_for_one_without_steps(
    home: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None], told: str
) -> None:
    change(home / "runs" / "one" / "rollouts")
    assert told in refusal(capsys, "view runs/one")


def test_a_run_whose_lines_are_all_damaged_is_not_taken_for_one_without_steps(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "runs" / "one" / "metrics.jsonl").write_bytes(b"\xff\n")
    assert "metrics.jsonl:1: left out, it is damaged" in refusal(capsys, "view runs/one")
    assert main(shlex.split("runs compare one two")) == 0
    assert "metrics.jsonl:1: left out, it is damaged" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_what_is_closed_is_named_with_its_remedy(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = home / "runs" / "one"
    assert main(["view", str(run)]) == 0  # imports all it needs: the other may not read where Python is
    (run / "heldout").mkdir(exist_ok=True)
    for folder in (run / "heldout", run / "rollouts", home / "empty"):
        folder.chmod(0o700)
    with as_other_user(home / "runs"):
        assert "runs/one/rollouts: may not be read; give read permission" in refusal(capsys, "view runs/one")
        assert "empty: is closed to you; get the right to read it" in refusal(capsys, "data check empty")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_rollouts_and_heldout_replies_that_are_closed_are_named_on_the_page(home: Path) -> None:
    from deploy.report.episodes_page import page
    from tests.deploy.reports import REPORTS

    folder = RunFolder(RunSpec(name="one"), home / "runs" / "one")
    log(folder, 2)
    page(folder.path, REPORTS)
    (folder.path / "heldout").mkdir(exist_ok=True)
    (folder.path / "heldout").chmod(0o700)
    (folder.path / "rollouts" / "step-00002.parquet").chmod(0o600)
    with as_other_user(home / "runs"):
        shown = page(folder.path, REPORTS)
    assert "heldout: may not be read; give read permission on it" in shown
    assert "step-00002.parquet: left out, it may not be read" in shown
