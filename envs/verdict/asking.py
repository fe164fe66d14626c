"""A person's own note: how it is put to a trained Doctor, and how the reply is shown."""

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
    verdict = Invalid(reason="truncated") if truncated else parse(reply, len(note))
    accused = verdict.sentence if isinstance(verdict, Verdict) else None
    return (*_marked(note, accused), *_told(verdict, reply))


def _marked(note: Sequence[str], accused: int | None) -> Iterator[Span]:
    for index, sentence in enumerate(note):
        mark, style = (">", "bold red") if index == accused else (" ", "")
        yield f"{mark} {index:2} {sentence}\n", style


def _told(verdict: Verdict | Invalid, reply: str) -> Iterator[Span]:
    if isinstance(verdict, Invalid):
        yield f"\nThe reply does not follow the format ({verdict.reason}):\n{reply.strip()}", ""
        return
    yield f"\nReasoning  {verdict.thinking}\nVerdict    ", ""
    if not verdict.error:
        yield "no clinical error", "bold green"
        return
    yield f"error of type {verdict.error_type} in sentence {verdict.sentence}", "bold red"
    yield f"\nCorrection {verdict.correction}", ""
