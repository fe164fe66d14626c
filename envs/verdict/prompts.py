"""Prompts of both personas."""

from __future__ import annotations

from collections.abc import Sequence

from common.records import Message


def doctor_messages(sentences: Sequence[str]) -> tuple[Message, ...]:
    """The Doctor's prompt: the note as numbered sentences, ids from 0."""
    raise NotImplementedError


def scribe_reword_messages(sentence: str) -> tuple[Message, ...]:
    """The Scribe's prompt: one sentence in, one sentence out."""
    raise NotImplementedError
