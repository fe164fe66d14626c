"""The flags of `evals.run` as notes: which are asked about, and which subset is scored on its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from common.files import read_text
from envs.verdict.data.medec import Note


def chosen(notes: list[Note], limit: int | None) -> list[Note]:
    """All notes, or the first `limit` in an order by a hash of the vignette: twins stay together."""
    if limit is None:
        return notes
    return sorted(notes, key=lambda n: (hashlib.sha256(f"limit:{n.vignette}".encode()).digest(), n.note_id))[:limit]


def subset_ids(path: Path, notes: Sequence[Note], limited: bool) -> set[str]:
    """The ids in a file, one per line, `#` before a comment. Raises ValueError for one that is no note, or for none."""
    text = read_text(path, "write a text file with one note id a line")
    lines = [line.split("#")[0].strip() for line in text.split("\n")]
    known = {note.note_id for note in notes}
    for number, line in enumerate(lines, 1):
        if line and line not in known and not limited:
            raise ValueError(f"{path}:{number}: {line[:40]!r} is no note of --data; write its Text ID")
    if not known.intersection(lines):
        raise ValueError(f"{path}: names none of the notes; write one Text ID a line")
    return known.intersection(lines)
