"""`medserl runs` and `medserl runs compare`."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.command_line import BAD_INPUT
from common.config import RunSpec
from common.statistics import Interval
from deploy import commands, compare, runs
from deploy.job import run_state
from deploy.job.run_folder import RunFolder
from deploy.job.run_state import RunState
from deploy.report import comparison
from evals.core.evaluator import EvalPoint
from tests.deploy.job.test_run_folder import log


def point(version: int, score: float) -> EvalPoint:
    measures = {"verdict": {"flag_accuracy": Interval(value=score, lower=0.0, upper=1.0, of=4)}}
    return EvalPoint(policy_version=version, seconds=1.0, tasks=4, measures=measures, reward_mean=0.0)


def made(home: Path, name: str, steps: int, scores: tuple[float, ...] = (), **fields: Any) -> RunFolder:
    """A run that has ended, without word, `steps` steps into its eight; with held-out points of these scores."""
    folder = RunFolder(RunSpec(name=name, **fields), home / "runs" / name)
    folder.create()
    for number in range(1, steps + 1):
        log(folder, number)
    lines = [msgspec.json.encode(point(version, score)) for version, score in enumerate(scores)]
    folder.evaluations.write_bytes(b"".join(line + b"\n" for line in lines))
    folder._lock.close()
    return folder


def listed(home: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert runs.run(commands.parse("runs", "medserl runs", [str(home / "runs"), "--json"])) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def compared(home: Path, *flags: str) -> int:
    first, second = home / "runs" / "one", home / "runs" / "two"
    return compare.run(commands.parse("runs compare", "medserl runs compare", [str(first), str(second), *flags]))


def refusal(home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a comparison that was refused."""
    with pytest.raises(SystemExit) as caught:
        compared(home)
    error = capsys.readouterr().err
    assert caught.value.code == BAD_INPUT and error.startswith("runs compare: ") and error.count("\n") == 1
    return error.rstrip()


def test_runs_are_listed_with_state_steps_best_score_and_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path, "one", 3, (0.5, 0.75, 0.625))
    run_state.record(folder.path, RunState.STOPPED)
    (found,) = listed(tmp_path, capsys)
    assert (found["run"], found["state"], found["steps"], found["of"]) == ("one", "stopped", 3, folder.spec.steps)
    assert found["best_heldout"] == 0.75 and found["error"] == ""
    assert found["bytes"] == sum(file.stat().st_size for file in folder.path.rglob("*") if file.is_file())


def test_the_run_that_changed_last_is_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for age, name in enumerate(("newest", "middle", "oldest")):
        folder = made(tmp_path, name, 1)
        for file in folder.path.rglob("*"):
            os.utime(file, (1e9 - age, 1e9 - age))
    assert [one["run"] for one in listed(tmp_path, capsys)] == ["newest", "middle", "oldest"]


def test_a_run_that_failed_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_state.record(made(tmp_path, "one", 1).path, RunState.FAILED, "the disk refused a write")
    assert runs.run(Namespace(folder=tmp_path / "runs", json=False)) == 0
    out = capsys.readouterr().out
    assert "1 of 8" in out and "one failed: the disk refused a write" in out


def test_a_folder_that_cannot_be_read_is_named_and_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, "good", 1)
    for name, text in (("bare", "name: bare"), ("torn", "steps: ["), ("list", "- 1")):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "spec.yaml").write_text(text)
    (tmp_path / "runs" / "evals").mkdir()  # no run
    assert runs.run(Namespace(folder=tmp_path / "runs", json=False)) == 0
    captured = capsys.readouterr()
    assert "good" in captured.out and len(captured.err.splitlines()) == 3
    assert all(line.startswith("runs: ") and "cannot be read" in line for line in captured.err.splitlines())


def test_no_folder_is_refused_and_an_empty_one_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        runs.run(Namespace(folder=tmp_path / "none", json=False))
    assert caught.value.code == BAD_INPUT and "no such folder" in capsys.readouterr().err
    assert runs.run(Namespace(folder=tmp_path, json=False)) == 0
    assert capsys.readouterr().out.startswith("no runs in ")


def test_two_runs_are_compared_in_a_table_and_a_picture(
    tmp_path: Path, drawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, "one", 3, (0.5, 0.75))
    made(tmp_path, "two", 2, seed=4)
    assert compared(tmp_path, "--out", str(tmp_path / "both.png")) == 0
    out = capsys.readouterr().out
    assert "best held-out score" in out and "0.75" in out and "seed" in out
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")


def test_the_comparison_is_json_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "one", 3, (0.5, 0.75))
    made(tmp_path, "two", 2, pools=[{"max_num_seqs": 8}])
    assert compared(tmp_path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runs"] == ["one", "two"] and found["state"] == ["failed", "failed"]
    assert found["differences"] == {"pools.engines.max_num_seqs": [64, 8]}
    assert [figures["best held-out score"] for figures in found["figures"]] == [0.75, None]
    assert Path(found["picture"]) == tmp_path / "runs" / "compare-one-two.png" and Path(found["picture"]).is_file()


def test_what_cannot_be_compared_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "one", 0)
    assert refusal(tmp_path, capsys).endswith("two: no run there (a folder with spec.yaml), nor below runs/")
    made(tmp_path, "two", 0)
    assert refusal(tmp_path, capsys).endswith("have no step yet: nothing to draw")
    (tmp_path / "runs" / "two" / "spec.yaml").unlink()
    (tmp_path / "runs" / "two").rename(tmp_path / "gone")
    (tmp_path / "runs" / "two").symlink_to(tmp_path / "runs" / "one")
    assert refusal(tmp_path, capsys).endswith("two are the same run: give two")


def test_runs_of_one_name_go_by_their_paths(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "x", tmp_path / "b" / "x"
    assert comparison.labels(first, second) == (str(first), str(second))
    assert comparison.labels(first, tmp_path / "y") == ("x", "y")


@pytest.mark.parametrize(
    ("text", "said"),
    [("steps: 4\npools: [{name: [a]}]\n", ""), ("steps: '4'\n", "has no steps"), ("b: &a {c: *a}\n", "too deeply")],
)
def test_a_spec_that_no_version_wrote_is_compared_or_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    made(tmp_path, "one", 1)
    other = made(tmp_path, "two", 1)
    (other.path / "spec.yaml").write_text(text)
    if said:
        assert said in refusal(tmp_path, capsys)
    else:
        assert comparison.differences(tmp_path / "runs" / "one", other.path)["pools"][1] == [{"name": ["a"]}]


def test_a_file_that_a_running_run_removes_meanwhile_is_not_counted(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    sizes = runs._files(tmp_path)
    next(sizes)
    for path in tmp_path.iterdir():
        path.unlink()
    assert not list(sizes)
