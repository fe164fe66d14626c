"""A model's replies to notes: requested once, kept over a crash, and combined into one answer per note.

`replies.jsonl`: the first line holds the settings, every further one the replies to one note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from actors.engine import PromptTooLong
from common.records import Message, Record, Sampled
from common.statistics import Interval, share
from envs.verdict.data.medec import Note
from envs.verdict.doctor.grammar import Invalid, Verdict, parse
from envs.verdict.prompts import doctor_messages
from evals.core.journal import Journal as CoreJournal
from evals.core.journal import Settings, digest
from evals.suites.medec.protocol import CLEAN_ANSWER, Answer

TOO_LONG = "prompt_too_long"
Ask = Callable[[tuple[Message, ...]], Awaitable[Sampled]]
"""Samples the replies to one prompt. Raises PromptTooLong when it does not fit the model's context."""


class Reply(Record):
    """One completion; `truncated` if it reached the token limit."""

    text: str
    truncated: bool


class Answered(Record):
    """The replies to one note; none when its prompt was too long. `prompt` is a digest of what was asked."""

    note_id: str
    prompt: str
    replies: tuple[Reply, ...]


class Judged(Record):
    """A note's replies as one answer. `reasons`: per reply `valid`, `truncated`, `invalid_*` or `prompt_too_long`."""

    answer: Answer
    named_type: str | None
    reasons: tuple[str, ...]
    right_flags: int  # valid replies whose flag is right


class ReplyFigures(Record):
    """Over all replies. An invalid one counts as flag 0 without a sentence, as the protocol has no third answer."""

    replies: int
    invalid: Interval
    reasons: dict[str, int]
    valid_and_right: float  # share of replies that are valid and have the right flag


class Journal(CoreJournal[Answered]):
    """`replies.jsonl`, opened for appending. Raises ValueError if it holds replies made with other settings."""

    def __init__(self, path: Path, settings: Settings) -> None:
        super().__init__(path, settings, Answered, lambda one: one.note_id, "the replies to a note")


def unanswered(notes: Sequence[Note], journal: Journal) -> list[Note]:
    """The notes whose prompt the journal holds no replies to."""
    known = {(one.note_id, one.prompt) for one in journal.answered.values()}
    return [note for note in notes if (note.note_id, digest(doctor_messages(note.sentences))) not in known]


async def answer(note: Note, ask: Ask, journal: Journal) -> None:
    """Ask about a note, and keep its replies."""
    messages = doctor_messages(note.sentences)
    try:
        sampled = (await ask(messages)).completions
    except PromptTooLong:
        sampled = ()
    replies = tuple(Reply(text=reply.text, truncated=reply.truncated) for reply in sampled)
    journal.add(Answered(note_id=note.note_id, prompt=digest(messages), replies=replies))


def judge(note: Note, replies: Sequence[Reply]) -> Judged:
    """One answer out of all replies: the majority's flag, its most frequent sentence, the first reply that says both.

    Invalid replies have no vote, the earlier reply wins a tie, and without a valid reply the answer is clean.
    """
    verdicts, reasons = list[Verdict](), list[str]()
    for reply in replies:
        read = parse(reply.text, len(note.sentences))
        if reply.truncated:
            reasons.append("truncated")
        elif isinstance(read, Invalid):
            reasons.append(f"invalid_{read.reason}")
        else:
            reasons.append("valid")
            verdicts.append(read)
    right = sum(verdict.error == note.is_error for verdict in verdicts)
    chosen = _chosen(verdicts)
    if chosen is None or not chosen.error:
        answer, named = CLEAN_ANSWER, None
    else:
        assert chosen.correction is not None
        answer, named = Answer(flag="1", sentence=str(chosen.sentence), correction=chosen.correction), chosen.error_type
    return Judged(answer=answer, named_type=named, reasons=tuple(reasons) or (TOO_LONG,), right_flags=right)


def reply_figures(judged: Mapping[str, Judged]) -> ReplyFigures:
    """Counts over all replies of all notes; a note whose prompt was too long counts as one invalid reply."""
    reasons = [reason for one in judged.values() for reason in one.reasons]
    return ReplyFigures(
        replies=len(reasons),
        invalid=share(reason != "valid" for reason in reasons),
        reasons=dict(sorted(Counter(reasons).items())),
        valid_and_right=sum(one.right_flags for one in judged.values()) / max(1, len(reasons)),
    )


def _chosen(verdicts: Sequence[Verdict]) -> Verdict | None:
    if not verdicts:
        return None
    flag = Counter(verdict.error for verdict in verdicts).most_common(1)[0][0]  # ties: the first seen
    agreed = [verdict for verdict in verdicts if verdict.error == flag]
    sentence = Counter(verdict.sentence for verdict in agreed).most_common(1)[0][0]
    return next(verdict for verdict in agreed if verdict.sentence == sentence)
