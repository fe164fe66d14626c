from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from envs.verdict.data.medec import bundled_path, load_notes
from envs.verdict.data.overlap import SOURCE_LIMIT, Reference
from envs.verdict.data.sources import LEFT_OUT, gather
from envs.verdict.environment import VerdictEnvironment
from envs.verdict.spec import DataSpec, VerdictSettings


def excerpt(path: Path, rows: int, **changes: str) -> Path:
    """The first `rows` of the bundled notes, with `changes` in the first of them."""
    with bundled_path().open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        kept = [row for row, _ in zip(reader, range(rows), strict=False)]
    kept[0] |= changes
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, reader.fieldnames or [])
        writer.writeheader()
        writer.writerows(kept)
    return path


def test_vignettes_near_an_evaluation_note_leave_as_a_whole_and_are_counted(tmp_path: Path) -> None:
    held = load_notes(excerpt(tmp_path / "held.csv", 6))
    kept = gather(DataSpec(evaluation=tmp_path / "held.csv"))
    everything = load_notes("bundled")
    assert kept.left_out["near_evaluation"] == len(everything) - len(kept.notes) >= len(held)
    reference = Reference(note.text for note in held)
    assert all(reference.containment(note.text) <= SOURCE_LIMIT for note in kept.notes)
    sizes = Counter(note.vignette for note in everything)
    assert all(count == sizes[name] for name, count in Counter(n.vignette for n in kept.notes).items())


def test_nothing_left_is_said_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"no note of bundled is left .* 120 near data\.evaluation") as refusal:
        gather(DataSpec(evaluation=bundled_path()))
    assert "\n" not in str(refusal.value)


def test_a_bad_row_ends_the_run_unless_it_may_be_skipped(tmp_path: Path) -> None:
    path = excerpt(tmp_path / "notes.csv", 40, **{"Error Flag": "maybe"})
    with pytest.raises(ValueError, match="row 2, field 'Error Flag': 'maybe' is not an integer"):
        VerdictEnvironment(VerdictSettings(data=DataSpec(path=str(path))), 0)
    env = VerdictEnvironment(VerdictSettings(data=DataSpec(path=str(path), skip_bad_rows=True)), 0)
    assert env.sources.left_out == {**dict.fromkeys(LEFT_OUT, 0), "bad_row": 1}
    assert "39 notes" in env.notice and f"left out: 1 bad_row; the first bad row: {path}:row 2" in env.notice


def test_long_notes_are_counted() -> None:
    limit = sorted(len(note.text.split()) for note in load_notes("bundled"))[60]
    kept = gather(DataSpec(max_words=limit))
    assert kept.left_out["too_long"] == 120 - len(kept.notes) > 0
    assert all(len(note.text.split()) <= limit for note in kept.notes)
