"""The verdict game's reward table."""

from __future__ import annotations

from common.records import Episode, Record, Reward


class Truth(Record):
    """What is true of a note: all None on a clean note. `sentence` is 0-based."""

    sentence_count: int
    error_type: str | None = None
    sentence: int | None = None
    error_text: str | None = None
    corrected_text: str | None = None


def score(episode: Episode, truth: Truth, false_alarm: float = -1.5) -> Reward:
    """Score the single action of `episode`."""
    raise NotImplementedError
