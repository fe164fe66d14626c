"""The notes that tasks are made from: loaded, without those that must not be used, with a count per reason."""

from __future__ import annotations

from collections import Counter

from common.records import Record
from envs.verdict.data.medec import Note, load, load_notes, split_of
from envs.verdict.data.overlap import SOURCE_LIMIT, Reference
from envs.verdict.spec import BUNDLED, OWN, DataSpec

LEFT_OUT = ("bad_row", "too_long", "near_evaluation")


class Sources(Record):
    """Notes, and how many rows or notes were left out by reason (all of `LEFT_OUT`). `skipped` lists the bad rows.

    `phrases` are error notes of another file, whose errors may be put into the notes; `phrases_from` names that file.
    """

    notes: tuple[Note, ...]
    left_out: dict[str, int]
    skipped: tuple[str, ...] = ()
    phrases: tuple[Note, ...] = ()
    phrases_from: str = ""

    def __str__(self) -> str:
        """The counts as one line for the terminal."""
        line = f"{len(self.notes)} notes of {len({note.vignette for note in self.notes})} vignettes"
        counted = [f"{count} {reason}" for reason, count in self.left_out.items() if count]
        line += f"; left out: {', '.join(counted)}" if counted else ""
        line += f"; phrases of {len(self.phrases)} error notes of {self.phrases_from}" if self.phrases else ""
        return f"{line}; the first bad row: {self.skipped[0]}" if self.skipped else line


def gather(data: DataSpec) -> Sources:
    """The notes of `data.path` that may be used. Raises ValueError, one line, when a file cannot be read.

    A vignette leaves as a whole when one of its notes shares more than `SOURCE_LIMIT` of its 4-grams with an evaluation
    note, so that no twin of it stays.
    """
    loaded = load(data.path, data.skip_bad_rows)
    short = [note for note in loaded.notes if len(note.text.split()) <= data.max_words]
    near = _near(short, data)
    kept = tuple(note for note in short if note.vignette not in near)
    counts = Counter(bad_row=len(loaded.skipped), too_long=len(loaded.notes) - len(short))
    counts["near_evaluation"] = len(short) - len(kept)
    if not kept:
        raise ValueError(
            f"data: no note of {data.path} is left (max_words {data.max_words}: {counts['too_long']} too long, "
            f"{counts['near_evaluation']} near data.evaluation); raise max_words or give other notes"
        )
    source = data.phrases or (OWN if any(note.is_error for note in kept) else BUNDLED)
    others = source not in (OWN, data.path)
    return Sources(
        notes=kept,
        left_out={reason: counts[reason] for reason in LEFT_OUT},
        skipped=loaded.skipped,
        phrases=_phrases(source, data, kept) if others else (),
        phrases_from=source if others else "",
    )


def _phrases(source: str, data: DataSpec, notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """The error notes of `source`, without those too near to a held-out or an evaluation note."""
    held = [note for note in notes if split_of(note.vignette, data.heldout) != "train"]
    kept_away = Reference(note.text for note in [*held, *(load_notes(data.evaluation) if data.evaluation else ())])
    errors = [note for note in load_notes(source) if note.is_error]
    found = tuple(note for note in errors if kept_away.containment(note.text) <= SOURCE_LIMIT)
    if not found:
        raise ValueError(f"data.phrases: {source} holds no error note that may be used; give one with errors, or {OWN}")
    return found


def _near(notes: list[Note], data: DataSpec) -> set[str]:
    """The vignettes too near to an evaluation note."""
    if data.evaluation is None:
        return set()
    kept_away = Reference(note.text for note in load_notes(data.evaluation))
    return {note.vignette for note in notes if kept_away.containment(note.text) > SOURCE_LIMIT}
