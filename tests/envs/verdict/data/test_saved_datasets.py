"""Datasets as Hugging Face's library saves them; importing it takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from envs.verdict.data.medec import load_notes
from tests.envs.verdict.own_notes import own_notes, write_dataset

pytestmark = pytest.mark.integration
NOTES = own_notes(6)


def test_a_saved_dataset_gives_its_notes(tmp_path: Path) -> None:
    notes = load_notes(write_dataset(tmp_path / "saved", NOTES))
    assert {note.note_id: note.text for note in notes} == NOTES


def test_a_dataset_of_splits_is_read_by_its_train_split(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    one, two = (datasets.Dataset.from_dict({"text": [f"{word} was given."]}) for word in ("Aspirin", "Heparin"))
    datasets.DatasetDict({"train": one, "test": two}).save_to_disk(str(tmp_path / "both"))
    assert [note.text for note in load_notes(tmp_path / "both")] == ["Aspirin was given."]
    datasets.DatasetDict({"test": two}).save_to_disk(str(tmp_path / "test"))
    with pytest.raises(ValueError, match="holds the splits test; give the folder of one of them"):
        load_notes(tmp_path / "test")


def test_a_dataset_that_is_damaged_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "saved", NOTES)
    for file in folder.glob("*.arrow"):
        file.unlink()
    with pytest.raises(ValueError, match="is no dataset that can be read") as refusal:
        load_notes(folder)
    assert "\n" not in str(refusal.value)
