"""`result.json`: everything an evaluation found, with what is needed to compare it with another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from common.records import Record
from envs.verdict.data.medec import Note
from envs.verdict.statistics import Case, Detection, McNemar, detection, mcnemar
from evals.core import results
from evals.core.journal import Settings
from evals.suites.medec.corrections import Scorer
from evals.suites.medec.floors import FLOORS, floor
from evals.suites.medec.protocol import Protocol, Submission, cases, official
from evals.suites.medec.replies import ReplyFigures


class Scores(Record):
    """One reader: the official scores and everything about flags."""

    protocol: Protocol
    detection: Detection


class Part(Record):
    """The system and the floors on the same notes."""

    title: str
    notes: int
    errors: int
    system: Scores | None  # None when only floors were asked for
    floors: dict[str, Scores]


class Against(Record):
    """The system compared with another result, note by note."""

    system: str
    flag: McNemar
    sentence: McNemar


class Result(Record):
    """An evaluation. `parts[0]` is over all notes, a second one over the subset."""

    suite: str
    system: str
    data: str
    data_sha256: str
    absent: dict[str, str]  # metrics that did not run, and why
    parts: tuple[Part, ...]
    settings: Settings | None = None
    replies: ReplyFigures | None = None
    against: Against | None = None
    cases: tuple[Case, ...] = ()


def part(
    title: str,
    notes: Sequence[Note],
    submission: Submission | None,
    types: Mapping[str, str],
    scorers: Mapping[str, Scorer],
) -> Part:
    """Score a submission, and every floor, on `notes`. The floors get no neural metric: those take minutes each."""
    return Part(
        title=title,
        notes=len(notes),
        errors=sum(note.is_error for note in notes),
        system=None if submission is None else _scores(notes, submission, types, scorers),
        floors={name: _scores(notes, floor(name, notes), {}, {}) for name in FLOORS},
    )


def compared(this: Sequence[Case], other: Result) -> Against:
    """McNemar's test against another result. Raises ValueError, one line, when that judged none of these notes."""
    there = {case.note_id: case for case in other.cases}
    shared = [(case, there[case.note_id]) for case in this if case.note_id in there]
    if not shared:
        raise ValueError(f"--against: {other.system} judged none of these notes; give a result on the same --data")
    return Against(
        system=other.system,
        flag=mcnemar({c.note_id: c.right for c, _ in shared}, {o.note_id: o.right for _, o in shared}),
        sentence=mcnemar(
            {c.note_id: c.sentence_right for c, _ in shared}, {o.note_id: o.sentence_right for _, o in shared}
        ),
    )


def load_result(path: Path) -> Result:
    """Read a result.json. Raises ValueError, one line, when it is none."""
    return results.load(path, Result)


def _scores(
    notes: Sequence[Note], submission: Submission, types: Mapping[str, str], scorers: Mapping[str, Scorer]
) -> Scores:
    return Scores(protocol=official(notes, submission, scorers), detection=detection(cases(notes, submission, types)))
