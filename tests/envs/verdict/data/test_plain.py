from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.verdict.data.medec import load, load_notes
from envs.verdict.data.plain import note_of
from envs.verdict.data.rows import BadRow, Row
from envs.verdict.data.text import one_line, repair
from tests.envs.verdict.own_notes import own_notes, write_csv, write_folder, write_json_lines

NOTES = own_notes(6)
Write = Callable[[Path, dict[str, str]], Path]
WAYS: list[tuple[str, Write]] = [
    ("notes.csv", write_csv),
    ("notes.jsonl", write_json_lines),
    ("folder", write_folder),
]


@pytest.mark.parametrize(("name", "write"), WAYS)
def test_every_format_gives_the_same_correct_notes(tmp_path: Path, name: str, write: Write) -> None:
    notes = load_notes(write(tmp_path / name, NOTES))
    assert {note.note_id: note.text for note in notes} == NOTES
    assert not any(note.is_error for note in notes) and all(len(note.sentences) == 7 for note in notes)


def test_pairs_and_plain_notes_may_stand_in_one_file(tmp_path: Path) -> None:
    pair = {
        "note_id": "p-0",
        "incorrect_note": "He fell. He gets a cast.",
        "error_type": "treatment",
        "error_sentence": "He gets a cast.",
        "corrected_sentence": "He rests.",
    }
    file = tmp_path / "notes.jsonl"
    file.write_text(json.dumps(pair) + "\n" + json.dumps({"id": 7, "text": "She sings."}) + "\n")
    assert [(note.note_id, note.is_error) for note in load_notes(file)] == [
        ("p-0", True),
        ("p-0-corrected", False),
        ("7", False),
    ]


def test_without_ids_notes_are_named_by_their_rows_and_other_columns_are_ignored(tmp_path: Path) -> None:
    file = tmp_path / "notes.csv"
    file.write_text("ward,text\nA,He rests.\n,\nB,She sings.\n")
    loaded = load(file)
    assert [note.note_id for note in loaded.notes] == ["row-2", "row-4"]
    assert loaded.places == (f"{file}:row 2", f"{file}:row 4")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,text\na,\n", "row 2, field 'text': is missing or not text"),
        ("id,text\na,He rests.\na,She sings.\n", "row 3, field 'id': 'a' occurs in an earlier row too"),
        ("id,text\n,He rests.\n", "row 2, field 'id': is missing"),
        ("id,text\na,b,c\n", "row 2, field 'text': the row has more or fewer cells"),
        ("id,notes\na,He rests.\n", "write the official MEDEC header, or the columns id and text"),
        ("id,text\n", "no notes in it; write the columns id and text"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "notes.csv"
    file.write_text(content)
    with pytest.raises(ValueError, match=says):
        load_notes(file)


def test_a_text_file_that_is_empty_or_not_utf8_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", NOTES)
    (folder / "x.txt").write_bytes(b"\xff")
    (folder / "y.txt").write_bytes(b" \n")
    (folder / "read.me").write_bytes(b"no note")
    with pytest.raises(ValueError, match=r"x\.txt:row 1, field 'text': byte 0xff is not UTF-8"):
        load_notes(folder)
    loaded = load(folder, skip_bad_rows=True)
    assert len(loaded.notes) == len(NOTES) and len(loaded.skipped) == 2


def test_a_blank_line_ends_a_sentence_and_a_line_break_does_not() -> None:
    text = "History\n\nHe fell\non his knee.\n \nPlan: rest"
    note = note_of(Row(Path("a"), 1, {"id": "a", "text": text}), set())
    assert note.sentences == ("History", "He fell on his knee.", "Plan: rest")


@given(st.text())
def test_any_text_loses_nothing_but_whitespace(text: str) -> None:
    try:
        note = note_of(Row(Path("a"), 1, {"id": "a", "text": text}), set())
    except BadRow:
        assert not text.strip()
        return
    assert " ".join(note.raw_sentences) == one_line(text)
    assert note.sentences == tuple(one_line(repair(sentence)) for sentence in note.raw_sentences)
