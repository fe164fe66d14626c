"""Asking a trained Doctor about a user's note: the prompt, and the reply for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envs.contract.report import Span
from envs.verdict.data.text import repair, split_sentences
from envs.verdict.doctor.grammar import Invalid, Verdict, parse


def sentences(text: str) -> list[str]:
    """Split as the environment splits its notes. Raises ValueError when there are none."""
    found = split_sentences(repair(text))
    if not found:
        raise ValueError("the text holds no sentence")
    return found


def answer(note: Sequence[str], reply: str, truncated: bool) -> tuple[Span, ...]:
    """The note with the accused sentence marked, the reasoning and the verdict."""
    parsed = parse(reply, len(note))
    if truncated or isinstance(parsed, Invalid):
        fault = "truncated" if truncated or isinstance(parsed, Verdict) else parsed.reason
        return (*_marked(note, None), (f"\nThe reply does not follow the format ({fault}):\n{reply.strip()}", ""))
    return (*_marked(note, parsed.sentence), *_spelt_out(parsed))


def _marked(note: Sequence[str], accused: int | None) -> Iterator[Span]:
    for index, sentence in enumerate(note):
        mark, style = (">", "bold red") if index == accused else (" ", "")
        yield f"{mark} {index:2} {sentence}\n", style


def _spelt_out(verdict: Verdict) -> Iterator[Span]:
    yield f"\nReasoning  {verdict.thinking}\nVerdict    ", ""
    if not verdict.error:
        yield "no clinical error", "bold green"
        return
    yield f"error of type {verdict.error_type} in sentence {verdict.sentence}", "bold red"
    yield f"\nCorrection {verdict.correction}", ""
