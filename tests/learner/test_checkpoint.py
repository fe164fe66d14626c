from __future__ import annotations

from pathlib import Path

import pytest

from learner import checkpoint
from learner.checkpoint import Checkpoint


def write(run: Path, step: int) -> Checkpoint:
    folder = checkpoint.begin(run, step)
    (folder / "learner").mkdir()
    (folder / "learner" / "rank-0.pt").write_bytes(b"weights" * step)
    return checkpoint.commit(folder, step=step, policy_version=step, ranks=1, state={"consumed": 8 * step})


def test_a_run_without_checkpoints_has_no_latest(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path) is None


def test_the_latest_is_the_newest_complete_one(tmp_path: Path) -> None:
    write(tmp_path, 4)
    newest = write(tmp_path, 100_000)
    found = checkpoint.latest(tmp_path)
    assert found == newest
    assert found is not None and found.manifest.state == {"consumed": 800_000}


def test_a_torn_checkpoint_is_passed_over(tmp_path: Path) -> None:
    whole = write(tmp_path, 4)
    (checkpoint.begin(tmp_path, 8) / "half").write_bytes(b"x")
    assert checkpoint.latest(tmp_path) == whole


def test_beginning_again_sweeps_the_torn_attempt_away(tmp_path: Path) -> None:
    (checkpoint.begin(tmp_path, 8) / "half").write_bytes(b"x")
    assert list(checkpoint.begin(tmp_path, 8).iterdir()) == []


def test_pruning_keeps_the_newest_and_drops_old_torn_ones(tmp_path: Path) -> None:
    for step in (4, 8, 12):
        write(tmp_path, step)
    checkpoint.begin(tmp_path, 6)
    running = checkpoint.begin(tmp_path, 16)
    gone = checkpoint.prune(tmp_path, keep=2)
    assert [folder.name for folder in gone] == ["step-00004", "step-00006"]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00008",
        "step-00012",
        running.name,
    ]


def test_pruning_never_touches_a_first_checkpoint_in_progress(tmp_path: Path) -> None:
    running = checkpoint.begin(tmp_path, 4)
    assert checkpoint.prune(tmp_path, keep=1) == []
    assert running.is_dir()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "learner" / "rank-0.pt").unlink(), "is missing"),
        (lambda folder: (folder / "learner" / "rank-0.pt").write_bytes(b"cut"), "has 3 bytes instead of 28"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text('{"step": 4}'), "cannot be read"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path: Path, damage: object, says: str) -> None:
    folder = write(tmp_path, 4).folder
    assert callable(damage)
    damage(folder)
    with pytest.raises(ValueError, match=says) as refused:
        checkpoint.latest(tmp_path)
    assert "\n" not in str(refused.value)
    assert str(folder) in str(refused.value)


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no manifest\.json"):
        checkpoint.read(tmp_path)
