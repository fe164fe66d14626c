from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from common.config import RunSpec
from deploy.__main__ import main
from deploy.job.run_folder import RunFolder
from deploy.report.episodes_page import write_page
from deploy.report.steps import read_steps
from tests.deploy.job.test_run_folder import log
from tests.deploy.reports import REPORTS


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run that nobody finishes, as after a kill; its lock is held, as while it runs."""
    made = RunFolder(RunSpec(name="mine"), tmp_path / "mine")
    made.create()
    return made


def test_picture_and_page_are_made_while_the_run_goes_on(
    folder: RunFolder, drawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    log(folder, 1)
    assert main(["view", str(folder.path)]) == 0
    picture, page = map(Path, capsys.readouterr().out.split())
    assert picture.read_bytes().startswith(b"\x89PNG") and "task-1" in page.read_text()


def test_the_page_is_made_again_with_the_steps_that_came_since(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = list[str]()
    for number in (1, 2):
        log(folder, number)
        assert main(["view", str(folder.path)]) == 0
        pages.append(Path(capsys.readouterr().out.split()[1]).read_text())
    assert pages[0] != pages[1]


def test_without_a_step_or_a_run_it_says_so_in_one_line(
    folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["view", str(folder.path)]) == 2
    assert capsys.readouterr().err == f"view: {folder.path}: no step yet (running); look again after the first one\n"
    assert main(["view", str(tmp_path / "none")]) == 2
    assert "no run there" in capsys.readouterr().err


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


def _scramble(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:300] + b"\xff" * 40 + data[340:])


def _column(name: str, value: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        rows = parquet.read_table(file)
        other = pa.array([value] * len(rows))
        parquet.write_table(rows.set_column(rows.column_names.index(name), name, other), file)

    return change


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _scramble,
        lambda file: file.write_bytes(b""),
        lambda file: parquet.write_table(pa.table({"a": [1]}), file),
        _column("reward", "much"),
        _column("context", '{"a": ['),
    ],
)
def test_a_damaged_file_of_rollouts_is_left_out_of_the_page_and_named_on_it(
    folder: RunFolder, damage: Callable[[Path], None]
) -> None:
    for number in (1, 2, 3):
        log(folder, number)
    damage(folder.path / "rollouts" / "step-00002.parquet")
    page = write_page(folder.path, REPORTS).read_text()
    assert page.count("left out, it is damaged") == 1 and "1 damaged" in page
    assert "task task-1<" in page and "task task-3<" in page and "task task-2<" not in page


def test_a_run_whose_rollouts_are_all_damaged_is_one_line_that_names_the_first(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    log(folder, 1)
    _cut(folder.path / "rollouts" / "step-00001.parquet")
    assert main(["view", str(folder.path)]) == 2
    said = capsys.readouterr().err
    assert "step-00001.parquet: left out, it is damaged" in said and len(said.splitlines()) == 1


VALUES = {"object": {}, "text": "x", "endless": 10**400, "long": 2**70, "list": [1]}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("name", ["reward_mean", "policy_lag", "step", "sync_seconds"])
def test_a_step_with_a_value_that_is_no_number_is_left_out_and_named(
    folder: RunFolder, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    for number in (1, 2, 3):
        log(folder, number)
    metrics = folder.path / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    rows[1][name] = VALUES[kind]
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [row["step"] for row in read_steps(folder.path).found] == [1, 3]
    assert main(["status", str(folder.path), "--port", "0"]) == 0
    if (name, kind) == ("step", "long"):  # a picture takes a while
        assert main(["view", str(folder.path)]) == 0
        assert f"view: {metrics}:2: left out, it is damaged" in capsys.readouterr().err


def test_a_number_that_is_not_finite_is_none_for_every_reader(folder: RunFolder) -> None:
    log(folder, 1)
    metrics = folder.path / "metrics.jsonl"
    row = json.loads(metrics.read_text()) | {"loss": float("nan"), "grad_norm": float("inf")}
    metrics.write_text(json.dumps(row) + "\n")
    (read,) = read_steps(folder.path).found
    assert read["loss"] is read["grad_norm"] is None
