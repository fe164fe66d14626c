from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner import checkpoint
from learner.checkpoint import Checkpoint, Score


def write(run: Path, step: int, score: Score | None = None) -> Checkpoint:
    folder = checkpoint.begin(run, step)
    (folder / "learner").mkdir()
    (folder / "learner" / "rank-0.pt").write_bytes(b"weights" * step)
    return checkpoint.commit(folder, step=step, policy_version=step, ranks=1, state={"consumed": 8 * step}, score=score)


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


def test_the_best_is_chosen_by_youdens_j_then_by_pairs_then_by_age(tmp_path: Path) -> None:
    assert checkpoint.best(tmp_path) is None
    write(tmp_path, 1)
    assert checkpoint.best(tmp_path) is None
    for step, score in ((2, (0.5, 0.2)), (3, (0.5, 0.3)), (4, (0.4, 0.9)), (5, (0.5, 0.3))):
        write(tmp_path, step, score)
    found = checkpoint.best(tmp_path)
    assert found is not None and found.manifest.step == 5 and found == checkpoint.read(found.folder)


@given(
    scores=st.lists(st.none() | st.tuples(st.floats(-1, 1), st.floats(0, 1)), min_size=1, max_size=7),
    keep=st.integers(1, 3),
)
def test_pruning_after_every_step_never_deletes_the_best_nor_the_newest(scores: list[Score | None], keep: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        for step, score in enumerate(scores, 1):
            write(Path(home), step, score)
            checkpoint.prune(Path(home), keep)
            left = [int(path.name.removeprefix("step-")) for path in (Path(home) / "checkpoints").iterdir()]
            known = [score for score in scores[:step] if score is not None]
            assert set(range(max(1, step - keep + 1), step + 1)) <= set(left) and len(left) <= keep + 1
            found = checkpoint.best(Path(home))
            assert found.manifest.score == max(known) if found else not known


def test_a_damaged_manifest_is_nobodys_best_and_does_not_stop_pruning(tmp_path: Path) -> None:
    (write(tmp_path, 1, (0.9, 0.9)).folder / "manifest.json").write_text("{")
    kept = write(tmp_path, 2, (0.1, 0.1))
    write(tmp_path, 3)
    write(tmp_path, 4)
    assert [folder.name for folder in checkpoint.prune(tmp_path, keep=1)] == ["step-00001", "step-00003"]
    assert checkpoint.best(tmp_path) == kept


def test_a_manifest_of_an_older_version_has_no_score(tmp_path: Path) -> None:
    path = write(tmp_path, 1, (0.5, 0.5)).folder / "manifest.json"
    old = {key: value for key, value in json.loads(path.read_text()).items() if key != "score"}
    path.write_text(json.dumps(old))
    found = checkpoint.latest(tmp_path)
    assert found is not None and found.manifest.score is None and checkpoint.best(tmp_path) is None


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
