"""MEDEC notes: the official CSV and the pairs .jsonl, read strictly, with every quirk of the real files handled.

Quirks: a line of `Sentences` that does not begin with the next expected id continues the sentence before it; cells may
hold CRLF; non-ASCII characters are double-encoded UTF-8 (repaired for prompts, kept raw for scoring); padding rows are
blank; integers may have become floats (`5.0`). Ids and file order leak the label, so nothing here derives from them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from common.records import Record
from envs.verdict.text import one_line, repair, split_sentences
from envs.verdict.vignettes import name_vignettes

ERROR_TYPES = ("diagnosis", "management", "treatment", "pharmacotherapy", "causalOrganism")
COLUMNS = (
    "Text ID",
    "Sentences",
    "Error Flag",
    "Error Type",
    "Error Sentence ID",
    "Error Sentence",
    "Corrected Sentence",
)
PAIR_FIELDS = ("note_id", "incorrect_note", "error_type", "error_sentence", "corrected_sentence")
OVERLAPPING = frozenset(f"ms-train-{n}" for n in (999, 768, 1819, 757, 1980))  # near-copies of evaluation notes
_NEXT_ID = re.compile(r"(\d+)(?:[ \t]+(.*))?$", re.DOTALL)
_TYPE_BY_LOWER = {name.lower(): name for name in ERROR_TYPES}


class Note(Record):
    """One clinical note as numbered sentences, with the truth about its error.

    `sentences` are one-line and repaired, for prompts; `raw_*` are what the file holds, for scoring. `error_sentence`
    is a 0-based index into `sentences`; it, `error_type` and the corrections are None on a clean note.
    """

    note_id: str
    vignette: str
    sentences: tuple[str, ...]
    raw_sentences: tuple[str, ...]
    error_type: str | None
    error_sentence: int | None
    corrected_sentence: str | None
    raw_corrected_sentence: str | None = None

    @property
    def is_error(self) -> bool:
        return self.error_type is not None

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


def bundled_path() -> Path:
    """The fictional twin notes that come with the project, in the official CSV format."""
    return Path(__file__).parent / "notes" / "twins.csv"


def load_notes(path: str | Path) -> list[Note]:
    """Read `bundled`, an official MEDEC CSV or a pairs .jsonl, in file order.

    Raises ValueError, one line that says file, row, field and what to write instead.
    """
    file = bundled_path() if str(path) == "bundled" else Path(path)
    text = _read(file)
    notes = list(_from_pairs(file, text) if file.suffix == ".jsonl" else _from_csv(file, text))
    if not notes:
        raise ValueError(f"{file}: no notes in it; write the official MEDEC columns and at least one row")
    names = name_vignettes([note.text for note in notes], [note.vignette for note in notes])
    return [msgspec.structs.replace(note, vignette=name) for note, name in zip(notes, names, strict=True)]


def split_of(vignette: str, heldout: float) -> str:
    """`heldout` for a share `heldout` of all vignettes, else `train`; decided by hash, so the same on every machine."""
    share = int.from_bytes(hashlib.sha256(f"split:{vignette}".encode()).digest()[:8], "big") / 2**64
    return "heldout" if share < heldout else "train"


def clean_version(note: Note) -> Note:
    """The error note with its correction put in. Raises ValueError on a note that has no error."""
    if note.error_sentence is None or note.corrected_sentence is None:
        raise ValueError(f"note {note.note_id} has no error to correct; give an error note")
    raw = note.corrected_sentence if note.raw_corrected_sentence is None else note.raw_corrected_sentence
    at = note.error_sentence
    return _clean(
        f"{note.note_id}-corrected",
        note.vignette,
        (*note.sentences[:at], note.corrected_sentence, *note.sentences[at + 1 :]),
        (*note.raw_sentences[:at], raw, *note.raw_sentences[at + 1 :]),
    )


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"{file}: no such file; write 'bundled' or the path of a MEDEC CSV or pairs .jsonl") from None
    except IsADirectoryError:
        raise ValueError(f"{file}: is a folder; write the path of the CSV or .jsonl inside it") from None
    except PermissionError:
        raise ValueError(f"{file}: may not be read; give read permission on it") from None
    except UnicodeDecodeError as broken:
        line = broken.object[: broken.start].count(b"\n") + 1
        raise ValueError(f"{file}:line {line}: not UTF-8; write the file again in UTF-8") from None


class _Row:
    """One row of a file: its fields, and where to point when one of them is wrong."""

    def __init__(self, file: Path, number: int, cells: Mapping[str, Any]) -> None:
        self.file, self.number, self.cells = file, number, cells

    def refuse(self, field: str, wrong: str, write: str) -> NoReturn:
        raise ValueError(f"{self.file}:row {self.number}, field '{field}': {wrong}; write {write}")

    def text(self, field: str) -> str:
        """The field, which must be text and not blank, whitespace at its ends removed."""
        value = self.cells.get(field)
        if not isinstance(value, str) or not value.strip():
            self.refuse(field, f"is missing or not text: {_short(value)}", "the text")
        return value.strip()

    def integer(self, field: str) -> int:
        value = (self.cells.get(field) or "").strip()
        if not re.fullmatch(r"-?\d{1,9}(\.0+)?", value, re.ASCII):
            self.refuse(field, f"{_short(value)} is not an integer", "a number such as 5")
        return int(value.split(".")[0])

    def error_type(self, field: str) -> str:
        value = self.text(field)
        if value.lower() not in _TYPE_BY_LOWER:
            self.refuse(field, f"unknown type {_short(value)}", "one of " + ", ".join(ERROR_TYPES))
        return _TYPE_BY_LOWER[value.lower()]

    def correction(self, field: str, error: str) -> str:
        value = self.text(field)
        if one_line(repair(value)) == error:
            self.refuse(field, "is equal to the error sentence", "the sentence without its error")
        return value


def _from_csv(file: Path, text: str) -> Iterator[Note]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    seen: set[str] = set()
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{file}:row 1, field '{missing[0]}': no such column; write the official MEDEC header")
        for number, cells in enumerate(reader, 2):
            row = _Row(file, number, cells)
            if None in cells or None in cells.values():
                row.refuse(COLUMNS[0], "the row has more or fewer cells than the header", "one cell a column")
            if not any(cell.strip() for cell in cells.values()):
                continue  # padding
            yield _official_note(row, seen)
    except csv.Error as broken:
        raise ValueError(f"{file}:line {reader.line_num}: not CSV ({broken}); write quotes in a cell twice") from None


def _official_note(row: _Row, seen: set[str]) -> Note:
    note_id = row.text("Text ID")
    if note_id in seen:
        row.refuse("Text ID", f"{_short(note_id)} stands in an earlier row too", "an id of its own")
    seen.add(note_id)
    flag = row.integer("Error Flag")
    if flag not in (0, 1):
        row.refuse("Error Flag", f"{flag} is not a flag", "0 (clean) or 1 (error)")
    raw = tuple(_numbered_sentences(row))
    sentences = tuple(one_line(repair(sentence)) for sentence in raw)
    if flag:
        return _official_error(row, note_id, sentences, raw)
    for field in ("Error Type", "Error Sentence", "Corrected Sentence"):
        if row.cells[field].strip() not in ("", "NA"):
            row.refuse(field, "is filled on a note flagged 0", "NA, or flag 1")
    if row.cells["Error Sentence ID"].strip() not in ("", "NA") and row.integer("Error Sentence ID") != -1:
        row.refuse("Error Sentence ID", "is not -1 on a note flagged 0", "-1, or flag 1")
    return _clean(note_id, note_id, sentences, raw)


def _official_error(row: _Row, note_id: str, sentences: tuple[str, ...], raw: tuple[str, ...]) -> Note:
    at = row.integer("Error Sentence ID")
    if not 0 <= at < len(sentences):
        row.refuse("Error Sentence ID", f"{at} is not a sentence", f"0 to {len(sentences) - 1}")
    if one_line(repair(row.text("Error Sentence"))) != sentences[at]:
        row.refuse("Error Sentence", f"differs from sentence {at} of the note", "that sentence word for word")
    correction = row.correction("Corrected Sentence", sentences[at])
    return Note(
        note_id=note_id,
        vignette=note_id,
        sentences=sentences,
        raw_sentences=raw,
        error_type=row.error_type("Error Type"),
        error_sentence=at,
        corrected_sentence=one_line(repair(correction)),
        raw_corrected_sentence=correction,
    )


def _numbered_sentences(row: _Row) -> list[str]:
    """The raw sentences of `<id> <text>` lines; a line without the next expected id continues the one before."""
    sentences: list[str] = []
    for line in row.text("Sentences").replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        match = _NEXT_ID.match(line)
        if match and int(match[1][:9]) == len(sentences):
            sentences.append(match[2] or "")
        elif sentences:
            sentences[-1] += "\n" + line
        else:
            row.refuse("Sentences", f"begins with {_short(line)}", "'0 ' before the first sentence")
    return sentences


def _from_pairs(file: Path, text: str) -> Iterator[Note]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except json.JSONDecodeError as broken:
            raise ValueError(f"{file}:row {number}: not JSON ({broken.msg}); write one object a line") from None
        if not isinstance(cells, dict):
            raise ValueError(f'{file}:row {number}: not a JSON object; write {{"note_id": ...}}')
        row = _Row(file, number, cells)
        if row.text("note_id") not in OVERLAPPING:
            error = _pair_error(row)
            yield from (error, clean_version(error))


def _pair_error(row: _Row) -> Note:
    raw_error = one_line(row.text("error_sentence"))
    note = one_line(row.text("incorrect_note"))
    if note.count(raw_error) != 1:
        row.refuse("error_sentence", "does not stand exactly once in incorrect_note", "it word for word")
    before, after = note.split(raw_error)
    head, tail = split_sentences(before), split_sentences(after)
    raw = (*head, raw_error, *tail)
    correction = row.correction("corrected_sentence", one_line(repair(raw_error)))
    return Note(
        note_id=row.text("note_id"),
        vignette=row.text("note_id"),
        sentences=tuple(one_line(repair(sentence)) for sentence in raw),
        raw_sentences=raw,
        error_type=row.error_type("error_type"),
        error_sentence=len(head),
        corrected_sentence=one_line(repair(correction)),
        raw_corrected_sentence=correction,
    )


def _clean(note_id: str, vignette: str, sentences: tuple[str, ...], raw: tuple[str, ...]) -> Note:
    return Note(
        note_id=note_id,
        vignette=vignette,
        sentences=sentences,
        raw_sentences=raw,
        error_type=None,
        error_sentence=None,
        corrected_sentence=None,
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
