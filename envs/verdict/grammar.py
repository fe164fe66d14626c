"""The Doctor's reply: a strict, linear-time parser and its inverse."""

from __future__ import annotations

from common.records import Record


class Verdict(Record):
    """A reply that parsed. The last three are None when `error` is False; `sentence` is 0-based."""

    error: bool
    thinking: str
    error_type: str | None = None
    sentence: int | None = None
    correction: str | None = None


class Invalid(Record):
    """A reply that is not in the grammar; `reason` is one of a small set of metric label values."""

    reason: str


def parse(completion: str, sentence_count: int | None = None) -> Verdict | Invalid:
    """Read one whole completion; sentence numbers at or above `sentence_count` are invalid."""
    raise NotImplementedError


def render(verdict: Verdict) -> str:
    """The reply that `parse` reads back as `verdict`."""
    raise NotImplementedError
