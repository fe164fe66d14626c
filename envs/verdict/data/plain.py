"""Notes without a label, which count as correct: rows of `id` and `text`, files of text, and saved datasets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.files import is_file, read_bytes
from envs.verdict.data.note import Note, clean_note
from envs.verdict.data.rows import Row
from envs.verdict.data.text import one_line, repair, split_sentences

TEXT, ID = "text", "id"
SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` of Hugging Face's `datasets` writes
TRAIN = "train"
_PARAGRAPH = re.compile(r"\n[ \t\r]*\n")


def note_of(row: Row, seen: set[str]) -> Note:
    """The note in the row's `text`, named by its `id`, or by its place where there is none. Raises BadRow.

    Sentences end at full stops, as `split_sentences` finds them, and at blank lines.
    """
    name = _identified(row).new_id(ID, seen)
    raw = tuple(sentence for part in _PARAGRAPH.split(row.text(TEXT)) for sentence in split_sentences(part))
    return clean_note(name, name, tuple(one_line(repair(sentence)) for sentence in raw), raw)


def rows_of_folder(folder: Path) -> Iterator[Row]:
    """One row a note: of the dataset that is saved in the folder, or of each `.txt` file in it, by name.

    Raises ValueError, one line, for a folder that holds neither.
    """
    if any(is_file(folder / name) for name in SAVED):
        yield from _saved(folder)
        return
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".txt" and path.is_file())
    except OSError as error:
        raise ValueError(f"{folder}: cannot be read ({error.strerror}); give read permission on it") from None
    if not files:
        raise ValueError(
            f"{folder}: is a folder without .txt files; write one .txt file a note into it, or give a CSV, a .jsonl or "
            "a folder that `save_to_disk` of datasets wrote"
        )
    for file in files:
        text = read_bytes(file).decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")
        yield Row(file, 1, {ID: file.stem, TEXT: text})


def _saved(folder: Path) -> Iterator[Row]:
    from datasets import DatasetDict, load_from_disk  # it takes seconds

    try:
        found: Any = load_from_disk(str(folder))
    except (ValueError, OSError) as error:
        raise ValueError(f"{folder}: is no dataset that can be read ({' '.join(str(error).split())})") from None
    if isinstance(found, DatasetDict):
        if TRAIN not in found:
            raise ValueError(f"{folder}: holds the splits {', '.join(found)}; give the folder of one of them")
        found = found[TRAIN]
    for number, cells in enumerate(found, 1):
        yield Row(folder, number, cells)


def _identified(row: Row) -> Row:
    """The row with text as its id; a number is one too, and without any it is the row's place."""
    given = row.cells.get(ID, f"row-{row.number}")
    known = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
    return Row(row.file, row.number, {**row.cells, ID: known})
