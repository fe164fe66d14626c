from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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
    assert checkpoint.newest(tmp_path).checkpoint is None


def test_the_latest_is_the_newest_complete_one(tmp_path: Path) -> None:
    write(tmp_path, 4)
    newest = write(tmp_path, 100_000)
    found = checkpoint.newest(tmp_path).checkpoint
    assert found == newest
    assert found is not None and found.manifest.state == {"consumed": 800_000}


def test_a_torn_checkpoint_is_passed_over(tmp_path: Path) -> None:
    whole = write(tmp_path, 4)
    (checkpoint.begin(tmp_path, 8) / "half").write_bytes(b"x")
    assert checkpoint.newest(tmp_path).checkpoint == whole


def test_beginning_again_sweeps_the_torn_attempt_away(tmp_path: Path) -> None:
    (checkpoint.begin(tmp_path, 8) / "half").write_bytes(b"x")
    assert list(checkpoint.begin(tmp_path, 8).iterdir()) == []


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_pruning_keeps_the_newest_and_leaves_the_one_in_progress_alone(tmp_path: Path) -> None:
    for step in (4, 8, 12):
        write(tmp_path, step)
    running = checkpoint.begin(tmp_path, 16)
    gone = checkpoint.prune(tmp_path, keep=2)
    assert [folder.name for folder in gone] == ["step-00004"]
    assert names(tmp_path) == ["step-00008", "step-00012", running.name]


def test_a_deletion_that_is_cut_short_leaves_nothing_that_looks_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 4)
    whole = write(tmp_path, 8)

    def crash(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.shutil, "rmtree", crash)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.prune(tmp_path, keep=1)
    monkeypatch.undo()
    assert names(tmp_path) == ["step-00004.partial", "step-00008"]
    assert checkpoint.newest(tmp_path).checkpoint == whole
    checkpoint.begin(tmp_path, 12)
    assert names(tmp_path) == ["step-00008", "step-00012.partial"]


def test_a_crash_at_any_moment_of_a_commit_leaves_the_checkpoint_before_or_the_new_one(tmp_path: Path) -> None:
    """Every call that changes the disk is cut off once, in turn."""
    for calls in range(99):
        run = tmp_path / str(calls)
        before = write(run, 4)
        with crashing(after=calls) as crash:
            write(run, 8)
        found = checkpoint.newest(run)
        assert found.checkpoint is not None and not found.damaged
        if not crash.came:
            assert found.checkpoint.manifest.step == 8 and calls > 6
            return
        assert found.checkpoint == before or found.checkpoint.manifest.step == 8


class Crash(BaseException):
    came = False


@contextmanager
def crashing(after: int) -> Iterator[Crash]:
    """The process dies at the call after `after` calls that change the disk."""
    crash, left = Crash(), iter(range(after))

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(left, None) is None:
                crash.came = True
                raise crash
            return real(*arguments, **named)

        return call

    with pytest.MonkeyPatch.context() as patch, suppress(Crash):
        for owner, name in ((os, "fsync"), (Path, "mkdir"), (Path, "write_bytes"), (Path, "rename")):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        yield crash


def test_a_full_disk_raises_and_leaves_no_checkpoint_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write(tmp_path, 4)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, 8)
    checkpoint.discard(tmp_path)
    assert names(tmp_path) == ["step-00004"] and checkpoint.newest(tmp_path).checkpoint == whole


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
    found = checkpoint.newest(tmp_path).checkpoint
    assert found is not None and found.manifest.score is None and checkpoint.best(tmp_path) is None


Damage = Callable[[Path], object]

DAMAGES: list[tuple[Damage, str]] = [
    (lambda folder: (folder / "learner" / "rank-0.pt").unlink(), "rank-0.pt is missing"),
    (lambda folder: (folder / "learner" / "rank-0.pt").write_bytes(b"cut"), "rank-0.pt has 3 bytes instead of 56"),
    (lambda folder: (folder / "learner" / "rank-0.pt").write_bytes(b"Weights" * 8), "rank-0.pt has changed since it"),
    (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json cannot be read"),
    (lambda folder: (folder / "manifest.json").write_text('{"step": 4}'), "manifest.json cannot be read"),
    (lambda folder: (folder / "manifest.json").unlink(), "is not a complete checkpoint: it has no manifest.json"),
]


@pytest.mark.parametrize(("damage", "says"), DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_in_one_line_that_names_the_file(
    tmp_path: Path, damage: Damage, says: str
) -> None:
    whole, folder = write(tmp_path, 4), write(tmp_path, 8).folder
    damage(folder)
    found = checkpoint.newest(tmp_path)
    assert found.checkpoint == whole and list(found.damaged) == [folder]
    line = found.damaged[folder]
    assert says in line and "\n" not in line and str(folder) in line


def test_where_every_checkpoint_is_damaged_there_is_none(tmp_path: Path) -> None:
    for step in (4, 8):
        (write(tmp_path, step).folder / "learner" / "rank-0.pt").unlink()
    found = checkpoint.newest(tmp_path)
    assert found.checkpoint is None and [folder.name for folder in found.damaged] == ["step-00008", "step-00004"]


def test_a_damaged_checkpoint_that_was_set_aside_does_not_push_out_a_good_one(tmp_path: Path) -> None:
    good = write(tmp_path, 4)
    (write(tmp_path, 8).folder / "learner" / "rank-0.pt").unlink()
    assert [path.name for path in checkpoint.set_aside(tmp_path, 4)] == ["step-00008.damaged"]
    assert checkpoint.prune(tmp_path, keep=1) == [] and checkpoint.newest(tmp_path).checkpoint == good
    again = write(tmp_path, 8)
    assert checkpoint.newest(tmp_path).checkpoint == again


def test_a_step_that_is_trained_again_takes_the_place_of_the_abandoned_one(tmp_path: Path) -> None:
    (write(tmp_path, 4).folder / "learner" / "rank-0.pt").unlink()
    again = write(tmp_path, 4)
    assert checkpoint.newest(tmp_path).checkpoint == again and names(tmp_path) == ["step-00004"]


def test_a_folder_that_somebody_moved_meanwhile_is_an_os_error(tmp_path: Path) -> None:
    folder = checkpoint.begin(tmp_path, 3)
    (folder / "weights").write_text("w")
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="was moved or emptied"):
        checkpoint.commit(folder, step=3, policy_version=3, ranks=1)
    assert checkpoint.newest(tmp_path).checkpoint is None


def test_without_a_checkpoint_there_is_no_oldest_step(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="was moved or emptied"):
        checkpoint.oldest_step(tmp_path)
