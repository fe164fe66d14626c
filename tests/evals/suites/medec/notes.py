"""Fictional notes for the evaluation tests."""

from __future__ import annotations

from envs.verdict.data.medec import Note

SENTENCES = ("A 50-year-old man has a fever.", "His culture grows gram-positive cocci.", "He has pneumonia.")
RIGHT = "He has endocarditis."


def note(name: str, error: str | None = None, at: int = 2, vignette: str = "") -> Note:
    """A clean note, or one whose sentence `at` has an error of type `error` that RIGHT corrects."""
    sentences = SENTENCES if error else (*SENTENCES[:2], RIGHT)
    return Note(
        note_id=name,
        vignette=vignette or name,
        sentences=sentences,
        raw_sentences=sentences,
        error_type=error,
        error_sentence=at if error else None,
        corrected_sentence=RIGHT if error else None,
        raw_corrected_sentence=RIGHT if error else None,
    )


def twins(name: str, error: str = "diagnosis") -> list[Note]:
    return [note(f"{name}-e", error, vignette=name), note(f"{name}-c", vignette=name)]
