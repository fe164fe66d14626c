"""Which sentences share evidence with a decision, and so stay byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

from envs.verdict.data.medec import Note
from envs.verdict.knowledge.tables import content_words


def evidence_of(error: Note) -> frozenset[str]:
    """The content words of the decision in which a human's error lies, wrong and right."""
    assert error.error_sentence is not None and error.corrected_sentence is not None
    return content_words(error.sentences[error.error_sentence]) | content_words(error.corrected_sentence)


def free_of(sentences: Sequence[str], focus: int, evidence: frozenset[str]) -> tuple[int, ...]:
    """Sentences that are neither the decision nor share a content word with it."""
    return tuple(i for i, s in enumerate(sentences) if i != focus and not content_words(s) & evidence)


def closest(sentences: Sequence[str], right: str) -> int:
    """The sentence of a clean twin at the position of the error in its sibling."""
    wanted = content_words(right)

    def likeness(number: int) -> float:
        own = content_words(sentences[number])
        return len(own & wanted) / max(1, len(own | wanted))

    return max(range(len(sentences)), key=likeness)
