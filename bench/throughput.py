"""Completions/s and tokens/s of our loop, TRL, a bare PyTorch loop and bare vLLM, in one run on the same work.

    python -m bench.throughput

Our loop runs first; the references then sample completions of the mean length that ours had, so that lengths agree.
Ours runs three times: the whole game with the Scribe's own generation, and twice with notes made by rule, which is the
same work as the references do.
"""

from __future__ import annotations

import sys

import msgspec

from bench import ours, references
from bench.ours import Variant
from bench.result import Result, show
from bench.workload import Workload


def variants(max_lag: int) -> tuple[Variant, ...]:
    """The whole game, then both modes on ready-made notes."""
    return (
        Variant(max_lag=max_lag, scribe=True),
        Variant(max_lag=max_lag, scribe=False),
        Variant(max_lag=0, scribe=False),
    )


def measure(work: Workload, spec: str, data: str, max_lag: int, our_steps: int, timeout_s: float) -> list[Result]:
    """All systems, ours first; each result is printed as a JSON line when it is there."""
    own = msgspec.structs.replace(work, steps=our_steps)
    results = []
    for variant in variants(max_lag):
        results.append(ours.run(own, spec, data, variant, timeout_s))
        print(results[-1].line(), flush=True)
    length = round(sum(r.tokens for r in results) / sum(r.completions for r in results))
    work = msgspec.structs.replace(work, tokens=length)
    for system in references.SYSTEMS:
        results.append(references.run(system, work, timeout_s))
        print(results[-1].line(), flush=True)
    return results


def main() -> None:
    """Parse the flags, measure, print the table. Exit code 2 and one message when a system fails."""
    parser = references.arguments("Our loop against the reference systems.")
    parser.add_argument("--spec", default="deploy/laptop.yaml", help="spec of our loop")
    parser.add_argument("--max-lag", type=int, default=1, help="policy lag of the asynchronous run")
    parser.add_argument("--our-steps", type=int, default=6, help="measured steps of our loop, after two discarded ones")
    args = parser.parse_args()
    try:
        work = references.build(args.steps, args.prompts, args.tokens, args.data, args.model)
        results = measure(work, args.spec, args.data, args.max_lag, args.our_steps, args.timeout)
    except ValueError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    show(results)


if __name__ == "__main__":
    main()
