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
_TYPE_BY_LOWER = {name.lower(): name for name in ERROR_TYPES}


class Note(Record):
    """One clinical note as numbered sentences, with the truth about its error.

    `sentences` are one-line and repaired, for prompts; `raw_*` are what the file holds, for scoring. `error_sentence` is a
    0-based index into `sentences`; it, `error_type` and the corrections are None on a clean note.
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
    names = name_vignettes([note.text for note in notes])
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
    return Note(
        note_id=f"{note.note_id}-corrected",
        vignette=note.vignette,
        sentences=(*note.sentences[:at], note.corrected_sentence, *note.sentences[at + 1 :]),
        raw_sentences=(*note.raw_sentences[:at], raw, *note.raw_sentences[at + 1 :]),
        error_type=None,
        error_sentence=None,
        corrected_sentence=None,
    )
