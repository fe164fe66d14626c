"""Notes from files: MEDEC's official CSV and pairs .jsonl, read strictly, with every quirk of the real files handled,
and notes without a label (`plain`).

Quirks: a line of `Sentences` that does not begin with the next expected id continues the sentence before it; cells may
hold CRLF; non-ASCII characters are double-encoded UTF-8 (repaired for prompts, kept raw for scoring); padding rows are
blank; integers may have become floats (`5.0`). Ids and file order leak the label, so nothing here derives from them.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from common.files import read_bytes
from common.paths import input_path
from common.records import Record
from envs.verdict.data import plain
from envs.verdict.data.boundaries import Unsettled, sentences_of
from envs.verdict.data.note import Note as Note
from envs.verdict.data.note import clean_note
from envs.verdict.data.note import clean_version as clean_version
from envs.verdict.data.rows import ERROR_TYPES as ERROR_TYPES
from envs.verdict.data.rows import BadRow, Row, short
from envs.verdict.data.text import one_line, repair, split_sentences
from envs.verdict.data.vignettes import name_vignettes

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
BROKEN = "\0"  # no column is called so
Reader = Callable[[Row, set[str]], list[Note]]
"""The notes of a row; the ids that were read are in the set, and its own are added."""


def bundled_path() -> Path:
    """The fictional twin notes that come with the project, in the official CSV format."""
    return Path(__file__).parents[1] / "notes" / "twins.csv"


class Loaded(Record):
    """What a file held: its notes in file order, `file:row N` of each, and a line for each row that was left out."""

    notes: tuple[Note, ...]
    places: tuple[str, ...]
    skipped: tuple[str, ...] = ()


def load_notes(path: str | Path) -> list[Note]:
    """Read `bundled`, a CSV, a .jsonl, or a folder of notes, in file order. docs/your-notes.md shows the formats.

    Raises ValueError, one line that says file, row, field and what to write instead.
    """
    return list(load(path).notes)


def load(path: str | Path, skip_bad_rows: bool = False) -> Loaded:
    """As `load_notes`; with `skip_bad_rows` a row that cannot be read is left out and listed in `skipped`."""
    return _bundled() if str(path) == "bundled" else _load(input_path(path), skip_bad_rows)


@cache
def _bundled() -> Loaded:
    """Read once: most processes that read other notes take phrases from these, or compare with them."""
    return _load(bundled_path(), skip_bad_rows=False)


def _load(file: Path, skip_bad_rows: bool) -> Loaded:
    seen, skipped = set[str](), list[str]()
    read = list[tuple[str, Note]]()
    for row, notes_of in _rows_of(file):
        try:
            read += [(f"{row.file}:row {row.number}", note) for note in notes_of(row, seen)]
        except BadRow as bad:
            if not skip_bad_rows:
                raise
            skipped.append(str(bad))
    if not read:
        why = f"; all {len(skipped)} rows are bad, the first: {skipped[0]}" if skipped else ""
        raise ValueError(
            f"{file}: no notes in it; write the columns id and text, or MEDEC's, and at least one row{why}"
        )
    places, notes = zip(*read, strict=True)
    names = name_vignettes([note.text for note in notes], [note.vignette for note in notes])
    named = (msgspec.structs.replace(note, vignette=name) for note, name in zip(notes, names, strict=True))
    return Loaded(notes=tuple(named), places=places, skipped=tuple(skipped))


def split_of(vignette: str, heldout: float) -> str:
    """`heldout` for a share `heldout` of all vignettes, else `train`; decided by hash, so the same on every machine."""
    share = int.from_bytes(hashlib.sha256(f"split:{vignette}".encode()).digest()[:8], "big") / 2**64
    return "heldout" if share < heldout else "train"


def _rows_of(file: Path) -> Iterator[tuple[Row, Reader]]:
    """Every row, with what reads its notes."""
    if _is_folder(file):
        yield from ((row, _object_notes) for row in plain.rows_of_folder(file))
        return
    text = _text(file)
    if file.suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield Row(file, number, {"line": line}), _line_notes
        return
    yield from _rows_of_csv(file, text)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long
        return False


def _text(file: Path) -> str:
    # bytes that are not UTF-8 become surrogates, which `Row.check_encoding` finds with their row and column
    data = read_bytes(file, "write 'bundled' or the path of a CSV, a .jsonl, or a folder of .txt files")
    return data.decode("utf-8-sig", "surrogateescape")


def _rows_of_csv(file: Path, text: str) -> Iterator[tuple[Row, Reader]]:
    # No cell is too long to be read; long notes are left out by their words. Other readers have the same limit.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or ()
    except csv.Error as broken:
        raise ValueError(f"{file}:line {reader.line_num}: {_not_csv(broken)}") from None
    header = Row(file, 1, dict.fromkeys(names, ""))
    is_plain = plain.TEXT in names
    header.check_columns([plain.TEXT] if is_plain else COLUMNS)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        header.refuse(twice[0], "the column stands twice", "it once")
    for number, cells in enumerate(_rows(reader), 2):
        yield Row(file, number, cells), _plain_notes if is_plain else _official_notes


def _rows(reader: csv.DictReader[str]) -> Iterator[dict[str, Any]]:
    """The rows; of one that is no CSV only what is wrong with it."""
    while True:
        try:
            yield next(reader)
        except csv.Error as broken:
            yield {BROKEN: f"line {reader.line_num} is {_not_csv(broken)}"}
        except StopIteration:
            return


def _not_csv(broken: csv.Error) -> str:
    return f"not CSV ({broken}); write quotes in a cell twice"


def _official_notes(row: Row, seen: set[str]) -> list[Note]:
    return [] if _is_padding(row) else [_official_note(row, seen)]


def _plain_notes(row: Row, seen: set[str]) -> list[Note]:
    return [] if _is_padding(row) else [plain.note_of(row, seen)]


def _is_padding(row: Row) -> bool:
    """Whether a row of a CSV is blank. Raises BadRow for one that is no CSV."""
    if BROKEN in row.cells:
        raise BadRow(f"{row.file}:row {row.number}: {row.cells[BROKEN]}")
    row.check_cells()
    row.check_encoding()
    return not any(cell.strip() for cell in row.cells.values())


def _official_note(row: Row, seen: set[str]) -> Note:
    note_id = row.new_id("Text ID", seen)
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
    return clean_note(note_id, note_id, sentences, raw)


def _official_error(row: Row, note_id: str, sentences: tuple[str, ...], raw: tuple[str, ...]) -> Note:
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
        # whole: the official script compares with the cell as it is, with a line break at its end
        raw_corrected_sentence=row.cells["Corrected Sentence"],
    )


def _numbered_sentences(row: Row) -> list[str]:
    """The raw sentences of `<id> <text>` lines; see `boundaries`."""
    lines = row.text("Sentences").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    try:
        sentences = sentences_of(lines, row.cells.get("Text") or "")
    except Unsettled:
        row.refuse("Sentences", "a line could begin a sentence or go on with one", "the note's words in 'Text'")
    if not sentences:
        row.refuse("Sentences", f"begins with {short(lines[0])}", "'0 ' before the first sentence")
    return sentences


def _line_notes(row: Row, seen: set[str]) -> list[Note]:
    return _object_notes(row.json_object("line"), seen)


def _object_notes(row: Row, seen: set[str]) -> list[Note]:
    """A note without a label; or an error note and its corrected twin, none of a pair that overlaps the evaluation
    files."""
    row.check_encoding()
    if plain.TEXT in row.cells and PAIR_FIELDS[1] not in row.cells:
        return [plain.note_of(row, seen)]
    if row.new_id("note_id", seen) in OVERLAPPING:
        return []
    error = _pair_error(row)
    return [error, clean_version(error)]


def _pair_error(row: Row) -> Note:
    raw_error = one_line(row.text("error_sentence"))
    note = one_line(row.text("incorrect_note"))
    if note.count(raw_error) != 1:
        row.refuse("error_sentence", "does not occur exactly once in incorrect_note", "it word for word")
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
