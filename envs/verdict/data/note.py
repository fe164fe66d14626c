"""One clinical note, as every reader of files gives it."""

from __future__ import annotations

from common.records import Record


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
        """Whether the note holds an error."""
        return self.error_type is not None

    @property
    def text(self) -> str:
        """All sentences, joined by spaces."""
        return " ".join(self.sentences)


def clean_note(note_id: str, vignette: str, sentences: tuple[str, ...], raw: tuple[str, ...]) -> Note:
    """A note without an error; `raw` are its sentences as the file holds them."""
    return Note(
        note_id=note_id,
        vignette=vignette,
        sentences=sentences,
        raw_sentences=raw,
        error_type=None,
        error_sentence=None,
        corrected_sentence=None,
    )


def clean_version(note: Note) -> Note:
    """The error note with its correction put in. Raises ValueError on a note that has no error."""
    if note.error_sentence is None or note.corrected_sentence is None:
        raise ValueError(f"note {note.note_id} has no error to correct; give an error note")
    raw = (note.raw_corrected_sentence or note.corrected_sentence).strip()
    at = note.error_sentence
    return clean_note(
        f"{note.note_id}-corrected",
        note.vignette,
        (*note.sentences[:at], note.corrected_sentence, *note.sentences[at + 1 :]),
        (*note.raw_sentences[:at], raw, *note.raw_sentences[at + 1 :]),
    )
