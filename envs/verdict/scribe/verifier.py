"""The verifier of tier C: a frozen model that says which of two versions of a sentence is right, and its exam.

It is asked for the log-probabilities of the letters A and B, with the versions in either order. Its margin is the
lesser of the two differences, so that a preference for a position is no answer. The exam asks it about errors that
humans wrote and corrected, and about changes that are no error: synonyms, and corrections of an error. One half of the
questions chooses the margin above which what is accepted is most surely an error, in 95 % of cases or more; the other
half must confirm it. Where it does not, the verifier is not used.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence

import msgspec

from common.records import Record
from common.statistics import exact_lower
from envs.contract.env import Complete, Exam
from envs.verdict import prompts
from envs.verdict.data.medec import Note
from envs.verdict.scribe import edits
from envs.verdict.scribe.phrases import decisions

RIGHT = 0.95  # least share of errors among what is accepted
DOUBT = 0.05  # chance that the share is less although the exam says so
REQUIRED = f"a margin above which {RIGHT:.0%} of accepted changes are errors, with {1 - DOUBT:.0%} confidence"
MOST = 400  # questions of each kind: more would delay the run
REPLY_TOKENS = 1  # only the first token's log-probs are read
LETTERS = ("A", "B")


class Choice(Record):
    """Two versions of sentence `at` of a note: `original` is right and `other` an error, or `other` is no error."""

    sentences: tuple[str, ...]
    at: int
    original: str
    other: str


class ExamResult(Record):
    """Of `asked` errors `found` and of `probes` changes that are none `false` have a margin of `threshold` or more.

    All are of the half that confirms. `threshold` is None where no margin is good enough for the half that chooses;
    `best` is the highest bound that one has there. `lower` is the bound of the share of errors among what is accepted,
    of as many changes of either kind. `silent` questions of both halves got no letter.
    """

    asked: int
    probes: int
    threshold: float | None = None
    found: int = 0
    false: int = 0
    best: float = 0.0
    silent: int = 0

    @property
    def lower(self) -> float:
        """The share of errors among what is accepted that is exceeded with confidence 1 - DOUBT."""
        return exact_lower(self.found, self.found + self.false, DOUBT)

    @property
    def passed(self) -> bool:
        """Whether tier C may use this verifier."""
        return self.threshold is not None and self.lower >= RIGHT

    def as_exam(self) -> Exam:
        """The result in the contract's form."""
        figures = {**msgspec.to_builtins(self), "lower": self.lower}
        return Exam(passed=self.passed, summary=str(self), figures=figures)

    def __str__(self) -> str:
        """The result as one line for the terminal."""
        said = f"verifier exam {'passed' if self.passed else 'failed'}: "
        if self.threshold is None:
            silent = f"; {self.silent} questions without a letter" if self.silent else ""
            return (
                f"{said}no margin picks out errors that are {RIGHT:.0%} right, the best one at least {self.best:.1%} "
                f"(on {self.asked} errors and {self.probes} changes that are none{silent})"
            )
        return (
            f"{said}a margin of {self.threshold:.2f} nats accepts {self.found} of {self.asked} errors and {self.false} "
            f"of {self.probes} changes that are none: at least {self.lower:.1%} right (needs {RIGHT:.0%})"
        )


async def margin(sentences: Sequence[str], at: int, right: str, other: str, ask: Complete) -> float | None:
    """By how many nats the model prefers `right` for sentence `at`, in the order that favours it less.

    None where it has no opinion: neither letter is among its likely first tokens, or the question got no answer.
    """
    orders = ((right, other), (other, right))
    found = await asyncio.gather(*(_preference(sentences, at, versions, ask) for versions in orders))
    return None if found[0] is None or found[1] is None else min(found[0], -found[1])


async def exam(pairs: Sequence[Choice], probes: Sequence[Choice], ask: Complete) -> ExamResult:
    """Put every question in both orders. Pairs are errors; probes are changes that are none."""
    found = await asyncio.gather(*(margin(c.sentences, c.at, c.original, c.other, ask) for c in (*pairs, *probes)))
    return judged(found[: len(pairs)], found[len(pairs) :])


def judged(errors: Sequence[float | None], others: Sequence[float | None]) -> ExamResult:
    """The margin that the questions of even place choose, with the counts of those of odd place."""
    best, threshold = _chosen(errors[::2], others[::2])
    asked, probes = errors[1::2], others[1::2]
    result = ExamResult(
        asked=len(asked), probes=len(probes), best=best, silent=sum(one is None for one in (*errors, *others))
    )
    if best < RIGHT:
        return result
    found, false = accepted(asked, threshold), accepted(probes, threshold)
    return msgspec.structs.replace(result, threshold=threshold, found=found, false=false)


def _chosen(errors: Sequence[float | None], others: Sequence[float | None]) -> tuple[float, float]:
    """(bound, margin): the margin of an error, above 0, at which the bound of the share right is highest, the lowest of
    several; zeros where no error has a margin above 0."""
    best, found = 0.0, 0.0
    for threshold in sorted({value for value in errors if value is not None and value > 0}, reverse=True):
        right = accepted(errors, threshold)
        lower = exact_lower(right, right + accepted(others, threshold), DOUBT)
        if lower >= best:
            best, found = lower, threshold
    return best, found


def accepted(margins: Sequence[float | None], threshold: float) -> int:
    """How many margins reach the threshold; None, where no letter was given, never does."""
    return sum(value is not None and value >= threshold for value in margins)


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
    """Up to `MOST` changes that are no error: a decision of a clean note in other words, or an error's correction."""
    found = list[Choice]()
    for note in notes:
        if note.is_error:
            assert note.error_sentence is not None and note.corrected_sentence is not None
            wrong = note.sentences[note.error_sentence]
            found.append(
                Choice(sentences=note.sentences, at=note.error_sentence, original=wrong, other=note.corrected_sentence)
            )
            continue
        options = [edit for at in decisions(note.sentences) if (edit := edits.cosmetic(note.sentences[at], at, rng))]
        if options:
            edit = rng.choice(options)
            at, other = edit.sentence, edits.apply(note.sentences, edit)[edit.sentence]
            found.append(Choice(sentences=note.sentences, at=at, original=note.sentences[at], other=other))
    return rng.sample(found, min(MOST, len(found)))


async def _preference(sentences: Sequence[str], at: int, versions: tuple[str, str], ask: Complete) -> float | None:
    """log p(A) - log p(B) of the first token; a letter that is not among the likely ones counts as the last of them."""
    written = await ask(prompts.verifier_messages(sentences, at, versions), REPLY_TOKENS)
    likely = dict[str, float]()
    for text, logp in written.first:
        likely[text.strip()] = max(logp, likely.get(text.strip(), logp))
    if not set(LETTERS) & likely.keys():
        return None
    last = min(logp for _, logp in written.first)
    one, two = (likely.get(letter, last) for letter in LETTERS)
    return one - two
