"""Prompts of both personas: short and plain, because the smallest policy has 135M parameters."""

from __future__ import annotations

from collections.abc import Sequence

from common.records import Message
from envs.verdict.medec import ERROR_TYPES

DOCTOR = f"""Check this clinical note. At most one sentence has a medical error. Many notes have none.
Error types: {", ".join(ERROR_TYPES)}.
Think first, then answer exactly like one of these:

<thinking>The finding does not fit the stated treatment.</thinking>
<verdict>Error: treatment
Sentence: 2
Correction: the whole sentence, corrected</verdict>

<thinking>All sentences fit the findings well.</thinking>
<verdict>No Clinical Error</verdict>

Note:
"""

SCRIBE_REWORD = """Reword this sentence from a clinical note. Keep every fact, number, drug and disease. \
Write one sentence and nothing else.

Sentence: """


def doctor_messages(sentences: Sequence[str]) -> tuple[Message, ...]:
    """The Doctor's prompt: the note as one numbered sentence a line, ids from 0."""
    note = "\n".join(f"{index} {sentence}" for index, sentence in enumerate(sentences))
    return (Message(role="user", content=DOCTOR + note),)


def scribe_reword_messages(sentence: str) -> tuple[Message, ...]:
    """The Scribe's prompt: one sentence in, one sentence out."""
    return (Message(role="user", content=SCRIBE_REWORD + sentence),)
