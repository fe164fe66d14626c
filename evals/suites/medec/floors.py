"""Baselines that do not read the note, which a useful score must exceed; and gold, the ceiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envs.verdict.data.medec import Note
from evals.suites.medec.protocol import (
    CLEAN_ANSWER,
    NA,
    Answer,
    Submission,
    gold_answer,
    parse_submission,
    submission_text,
)

GOLD = "gold"


def _last_sentence(note: Note) -> Answer:
    last = len(note.raw_sentences) - 1
    return Answer(flag="1", sentence=str(last), correction=note.raw_sentences[last].strip() or NA)


def _copied_error(note: Note) -> Answer:
    """Right flag and sentence, no correction: the ROUGE of a copy."""
    if note.error_sentence is None:
        return CLEAN_ANSWER
    copied = note.raw_sentences[note.error_sentence].strip()
    return Answer(flag="1", sentence=str(note.error_sentence), correction=copied)


FLOORS: dict[str, Callable[[Note], Answer]] = {
    "always clean": lambda note: CLEAN_ANSWER,
    # Sentence -1 is right on every clean note, although the flag is wrong: the protocol compares them separately.
    "always error, no sentence": lambda note: Answer(flag="1", sentence="-1", correction=NA),
    "always error, last sentence": _last_sentence,
    "copy the error": _copied_error,
    GOLD: gold_answer,
}


def floor(name: str, notes: Sequence[Note]) -> Submission:
    """The submission of one of FLOORS, written and read back like any other."""
    return parse_submission(submission_text({note.note_id: FLOORS[name](note) for note in notes}))
