"""The data files of a run are those with which it began."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from common.config import RunSpec
from common.paths import InputPath, PathTo, inputs_among
from common.sections import Section
from deploy.job import inputs
from deploy.job.run_folder import RunFolder
from deploy.job.start import Start, starting_point
from learner import checkpoint


def spec(home: Path, **data: Any) -> RunSpec:
    written = {"path": str(home / "my notes [1].csv"), **data}
    envs = [{"id": "verdict", "data": written}]
    return RunSpec.model_validate({"name": "r", "steps": 8, "runs": str(home / "runs"), "envs": envs})


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run over one file of notes, stopped after step 4."""
    (tmp_path / "my notes [1].csv").write_text("a,b\n1,2\n")
    folder, _ = starting_point(spec(tmp_path), False)
    folder.create()
    folder.journal.write_bytes(b"")
    made = checkpoint.begin(folder.path, 4)
    (made / "x.pt").write_bytes(b"x")
    checkpoint.commit(made, step=4, policy_version=4, ranks=1)
    return folder


def resumed(home: Path) -> Start:
    return starting_point(spec(home), True)[1]


def test_the_same_file_is_resumed_with_even_if_it_was_copied_or_touched(tmp_path: Path, run: RunFolder) -> None:
    os.utime(tmp_path / "my notes [1].csv", (1, 1))
    assert resumed(tmp_path).version == 4 and (run.path / inputs.FILE).is_file()


def test_a_changed_file_is_refused_in_one_line_with_both_fingerprints(tmp_path: Path, run: RunFolder) -> None:
    notes, before = tmp_path / "my notes [1].csv", (run.path / inputs.FILE).read_bytes()
    times = notes.stat()
    notes.write_text("a,b\n1,3\n")  # of the same length
    os.utime(notes, ns=(times.st_atime_ns, times.st_mtime_ns))
    was, now = run.inputs["envs.verdict.data.path"], inputs.inputs_of(spec(tmp_path))["envs.verdict.data.path"]
    with pytest.raises(ValueError) as refused:
        resumed(tmp_path)
    line = str(refused.value)
    assert was.sha256 != now.sha256 and was.bytes == now.bytes
    assert line.startswith(f"envs.verdict.data.path: {notes} has changed since the run began: ")
    assert f"sha256 {was.sha256[:12]} (8 bytes) -> {now.sha256[:12]} (8 bytes); put the old file back" in line
    assert "\n" not in line and (run.path / inputs.FILE).read_bytes() == before


def test_a_file_that_is_gone_is_refused(tmp_path: Path, run: RunFolder) -> None:
    (tmp_path / "my notes [1].csv").unlink()
    with pytest.raises(ValueError, match=r"notes \[1\]\.csv has changed .* -> no such file; put the old file back"):
        resumed(tmp_path)


@pytest.mark.parametrize("left", [None, b'{"envs.verd', b"[]"])
def test_a_run_without_fingerprints_goes_on_and_says_so(tmp_path: Path, run: RunFolder, left: bytes | None) -> None:
    (run.path / inputs.FILE).unlink() if left is None else (run.path / inputs.FILE).write_bytes(left)
    start = resumed(tmp_path)
    assert start.version == 4
    assert start.lines[-1] == (
        f"{run.path / inputs.FILE} is missing or damaged: data files may have changed since the run began"
    )


def test_the_run_keeps_what_its_resume_read(tmp_path: Path, run: RunFolder) -> None:
    (run.path / inputs.FILE).unlink()
    again, start = starting_point(spec(tmp_path), True)
    again.resume(start.version)
    assert inputs.read(run.path) == run.inputs and resumed(tmp_path).lines == start.lines[:-1]


def test_the_notes_of_this_project_are_no_file_of_the_user(tmp_path: Path) -> None:
    assert inputs.inputs_of(RunSpec()) == {}


def test_a_name_that_no_file_can_have_is_left_to_the_game(tmp_path: Path) -> None:
    assert inputs.inputs_of(spec(tmp_path, path="/" + "x" * 5000)) == {}


def test_every_data_file_of_a_game_counts(tmp_path: Path) -> None:
    for name in ("my notes [1].csv", "kept back.jsonl"):
        (tmp_path / name).write_text(name)
    found = inputs.inputs_of(spec(tmp_path, evaluation=str(tmp_path / "kept back.jsonl")))
    assert found.keys() == {"envs.verdict.data.path", "envs.verdict.data.evaluation"}
    assert found["envs.verdict.data.evaluation"].path.endswith("kept back.jsonl")


def test_a_folder_is_what_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "cases"
    (folder / "deep").mkdir(parents=True)
    (folder / "a").write_text("1")
    (folder / "deep" / "b").write_text("2")
    first = inputs.inputs_of(spec(tmp_path, path=str(folder)))
    (folder / "deep" / "b").rename(folder / "b")
    assert first and inputs.changes(first, inputs.inputs_of(spec(tmp_path, path=str(folder))))
    (folder / "b").rename(folder / "deep" / "b")
    assert not inputs.changes(first, inputs.inputs_of(spec(tmp_path, path=str(folder))))


class Inner(Section):
    read: InputPath
    written: PathTo


class Outer(Section):
    inner: Inner
    maybe: InputPath | None = None
    none: InputPath | None = None


def test_files_that_are_read_are_told_from_those_that_are_written() -> None:
    outer = Outer.model_validate({"inner": {"read": "/a", "written": "/b"}, "maybe": "/c"})
    assert dict(inputs_among(outer)) == {"inner.read": Path("/a"), "maybe": Path("/c")}
