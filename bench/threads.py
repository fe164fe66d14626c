"""Speed of an engine and a learner on one CPU, with all cores each or half of the cores each.

    python -m bench.threads

The learner runs forward and backward passes of a row of two groups; the engine, our own, samples groups without pause.
Each is a process with its actor's environment variables. The table shows seconds per row and tokens/s, each alone
and both together.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.flags import add_model
from common.backends import CPU, best_dtype
from common.config import LearnerSpec, ModelSpec, PoolSpec, RunSpec
from common.flags import flag_count, flag_seconds
from common.models import resolve_model
from common.records import Record

PROMPT, SHARED, COMPLETIONS, TOKENS = 296, 149, 8, 54
"""Sizes of a group of the verdict game with SmolLM2, as in `bench.throughput`."""


def learner(folder: Path, dtype: str, rows: int) -> None:
    """Print the median seconds of `rows` rows, after one discarded row."""
    import torch

    from bench.learner_step import groups, seconds
    from learner.batch import shared_row
    from learner.policy import load_policy

    policy = load_policy(folder, LearnerSpec(gradient_checkpointing=False), "cpu", 0, getattr(torch, dtype))
    vocabulary = policy.config.get_text_config().vocab_size
    row = shared_row(groups(vocabulary, SHARED, PROMPT, COMPLETIONS, TOKENS)[:2])
    print(statistics.median([seconds(policy.module, [row]) for _ in range(rows + 1)][1:]))


async def engine(folder: Path, dtype: str) -> None:
    """Print `ready`; sample from the first line of input to the second; print tokens/s."""
    from actors.engine import Engine

    pool = PoolSpec()
    spec = RunSpec(model=ModelSpec(source=str(folder), dtype=dtype), pools=(pool,))
    one = Engine(spec, pool, "bench-0")
    await one.load(folder)

    async def sample(number: int) -> int:
        prompt = tuple(range(100 + number, 100 + number + PROMPT))
        sampled = await one.sample(prompt, COMPLETIONS, TOKENS, 1.0)
        return sum(len(completion.token_ids) for completion in sampled.completions)

    await sample(0)
    print("ready", flush=True)
    sys.stdin.readline()
    started, tokens, number = time.perf_counter(), 0, 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        tokens += sum(await asyncio.gather(*(sample(number + at) for at in range(4))))
        number += 4
    print(tokens / (time.perf_counter() - started), flush=True)
    await one.shutdown()


Variables = dict[str, str]


class Child:
    """One of the two as a process with its actor's environment and that many threads."""

    def __init__(self, what: str, arguments: list[str], variables: Variables) -> None:
        self._command = [sys.executable, "-m", "bench.threads", "--as", what, *arguments]
        environment = {**os.environ, **variables}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, env=environment, stdin=pipe, stdout=pipe, text=True)

    def signal(self) -> None:
        """Send a line, for which the process waits: to start, or to stop."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def receive(self) -> str:
        """The next output line that is `ready` or a number. Raises ValueError when the process ends without one."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == "ready" or line.strip().replace(".", "", 1).isdigit():
                return line.strip()
        raise ValueError(f"{' '.join(self._command)} ended with {self._process.wait()}")


class Measured(Record):
    """Seconds per row of the learner, and the engine's tokens/s; None for the one that did not run."""

    seconds: float | None
    tokens_per_s: float | None


def together(arguments: list[str], ours: Variables | None, theirs: Variables | None, pause: float) -> Measured:
    """The learner with the environment `ours` and the engine with `theirs`, each left out where it is None."""
    sampling = Child("engine", arguments, theirs) if theirs is not None else None
    if sampling is not None:
        assert sampling.receive() == "ready"
        sampling.signal()
    taken = float(Child("learner", arguments, ours).receive()) if ours is not None else None
    if sampling is None:
        return Measured(seconds=taken, tokens_per_s=None)
    if taken is None:
        time.sleep(pause)
    sampling.signal()
    return Measured(seconds=taken, tokens_per_s=float(sampling.receive()))


def table(arguments: list[str], pause: float) -> Table:
    """Each alone with all cores and with half of them, and both together with all and with half each."""
    threads = {"all": CPU.alone_env, "half": CPU.beside_env}
    shown = Table("learner's cores", "engine's cores", "s per row", "tokens/s")
    for ours, theirs in (("all", "-"), ("half", "-"), ("-", "all"), ("-", "half"), ("all", "half"), ("half", "half")):
        found = together(
            arguments,
            CPU.learner_env | threads[ours] if ours in threads else None,
            CPU.engine_env | threads[theirs] | {"VLLM_CPU_KVCACHE_SPACE": "1"} if theirs in threads else None,
            pause,
        )
        shown.add_row(
            ours,
            theirs,
            "-" if found.seconds is None else f"{found.seconds:.1f}",
            "-" if found.tokens_per_s is None else f"{found.tokens_per_s:.0f}",
        )
    return shown


def main() -> None:
    """Parse the flags, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model(parser)
    parser.add_argument("--rows", type=flag_count, default=4, help="measured rows of the learner")
    parser.add_argument("--seconds", type=flag_seconds, default=40, help="seconds for which the engine samples alone")
    parser.add_argument("--as", dest="role", choices=("learner", "engine"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    dtype = best_dtype().name
    folder = resolve_model(ModelSpec(source=args.model, dtype=dtype))
    if args.role == "learner":
        learner(folder, dtype, args.rows)
    elif args.role == "engine":
        asyncio.run(engine(folder, dtype))
    else:
        shown = table(["--model", str(folder), "--rows", str(args.rows)], args.seconds)
        shown.title = f"An engine and a learner on {os.cpu_count()} cores, {dtype}"
        Console(width=100).print(shown)


if __name__ == "__main__":
    main()
