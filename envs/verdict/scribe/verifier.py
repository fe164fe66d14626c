"""The verifier of tier C: a frozen model that says which of two versions of a sentence is right, and its exam.

It is asked twice, with the versions in either order, so that a preference for a position is no answer. The exam asks it
about errors that humans wrote and corrected, and about synonyms: a model that merely prefers what reads like the
original is right on every error, but fails on the synonyms.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence

import msgspec

from common.records import Record
from envs.contract.env import Complete, Exam
from envs.verdict import prompts
from envs.verdict.data.medec import Note
from envs.verdict.scribe import edits
from envs.verdict.scribe.phrases import decisions

RIGHT, FALSE = 0.85, 0.10  # least share of errors found, most of synonyms called errors (design.md, section 5)
REQUIRED = f"{RIGHT:.0%} of the held-out errors found, at most {FALSE:.0%} of synonyms called errors"
FEWEST, MOST = 10, 100  # questions of each kind: with fewer, guesses may pass; more would delay the run
REPLY_TOKENS = 4  # the letter, and the end of the turn


class Choice(Record):
    """Two versions of sentence `at` of a note: `original` is right, `other` is an error or a synonym."""

    sentences: tuple[str, ...]
    at: int
    original: str
    other: str


class ExamResult(Record):
    """`right` of `asked` errors found; in `false` of `probes` synonyms the original was preferred."""

    right: int
    asked: int
    false: int
    probes: int

    @property
    def passed(self) -> bool:
        """Whether tier C may use this verifier."""
        enough = min(self.asked, self.probes) >= FEWEST
        return enough and self.right >= RIGHT * self.asked and self.false <= FALSE * self.probes

    def as_exam(self) -> Exam:
        """The result in the contract's form."""
        return Exam(passed=self.passed, summary=str(self), figures=msgspec.to_builtins(self))

    def __str__(self) -> str:
        """The result as one line for the terminal."""
        few = f", fewer than {FEWEST} questions of a kind" if min(self.asked, self.probes) < FEWEST else ""
        return (
            f"verifier exam {'passed' if self.passed else 'failed'}: {self.right} of {self.asked} errors found "
            f"(needs {RIGHT:.0%}), {self.false} of {self.probes} synonyms called errors (at most {FALSE:.0%}){few}"
        )


async def preference(sentences: Sequence[str], at: int, one: str, other: str, ask: Complete) -> str | None:
    """The version of sentence `at` that is clinically right: `one` or `other`.

    None when a reply is not one letter, calls both the same, or differs with the order of the two.
    """
    first, second = await asyncio.gather(
        _pick(sentences, at, (one, other), ask), _pick(sentences, at, (other, one), ask)
    )
    return first if first == second else None


async def exam(pairs: Sequence[Choice], probes: Sequence[Choice], ask: Complete) -> ExamResult:
    """Put every question in both orders. Pairs are errors; probes are synonyms."""
    found = await asyncio.gather(*(_holds_to_original(choice, ask) for choice in (*pairs, *probes)))
    right, false = sum(found[: len(pairs)]), sum(found[len(pairs) :])
    return ExamResult(right=right, asked=len(pairs), false=false, probes=len(probes))


def pairs_of(notes: Iterable[Note], rng: random.Random) -> list[Choice]:
    """Up to `MOST` errors that a human wrote, each against its correction; clean notes give none."""
    found = [
        Choice(sentences=note.sentences, at=at, original=right, other=note.sentences[at])
        for note in notes
        for at, right in [(note.error_sentence, note.corrected_sentence)]
        if at is not None and right is not None
    ]
    return rng.sample(found, min(MOST, len(found)))


def probes_of(notes: Iterable[Note], rng: random.Random) -> list[Choice]:
    """Up to `MOST` decision sentences of clean notes, one a note, each against an edit that keeps its meaning."""
    found = list[Choice]()
    for note in notes:
        options = [edit for at in decisions(note.sentences) if (edit := edits.cosmetic(note.sentences[at], at, rng))]
        if options and not note.is_error:
            edit = rng.choice(options)
            at, other = edit.sentence, edits.apply(note.sentences, edit)[edit.sentence]
            found.append(Choice(sentences=note.sentences, at=at, original=note.sentences[at], other=other))
    return rng.sample(found, min(MOST, len(found)))


async def _holds_to_original(choice: Choice, ask: Complete) -> bool:
    return await preference(choice.sentences, choice.at, choice.original, choice.other, ask) == choice.original


async def _pick(sentences: Sequence[str], at: int, versions: tuple[str, str], ask: Complete) -> str | None:
    written = await ask(prompts.verifier_messages(sentences, at, versions), REPLY_TOKENS)
    return None if written.truncated else dict(zip("AB", versions, strict=True)).get(written.text.strip())
