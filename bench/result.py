"""One line of the throughput table, as every system prints it."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console
from rich.table import Table

from common.records import Record


class Result(Record):
    """Means over the measured steps. Seconds are per step; a phase that the system lacks is 0."""

    name: str
    completions: int
    seconds: float  # of all measured steps
    tokens: int  # completion tokens sampled in them
    prompt_tokens: float  # mean length of a prompt
    generate_s: float
    train_s: float
    peak_memory_gib: float

    @property
    def completions_per_s(self) -> float:
        return self.completions / self.seconds

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds

    def line(self) -> str:
        """One JSON line, rates included."""
        rates = {"completions_per_s": round(self.completions_per_s, 4), "tokens_per_s": round(self.tokens_per_s, 2)}
        return msgspec.json.encode(msgspec.structs.asdict(self) | rates).decode()


def emit(result: Result) -> None:
    """Print the result as the last line of stdout, where `parse` finds it."""
    print(result.line(), flush=True)


def parse(stdout: str) -> Result:
    """The result in a system's output. Raises ValueError when there is none."""
    for line in reversed(stdout.splitlines()):
        if line.startswith('{"name"'):
            return msgspec.json.decode(line, type=Result)
    print(stdout[-2000:], file=sys.stderr)
    raise ValueError("the process printed no result line; the end of its output stands above")


def show(results: list[Result]) -> None:
    """Print the table, with completions/s relative to TRL's when TRL was measured."""
    base = next((r.completions_per_s for r in results if r.name.startswith("TRL")), None)
    table = Table("system", title="Throughput, whole steps")
    for column in ("completions/s", "x TRL", "tokens/s", "tokens each", "prompt", "generate s", "train s", "peak GiB"):
        table.add_column(column, justify="right", no_wrap=True)
    for r in results:
        ratio = f"{r.completions_per_s / base:.2f}" if base else "-"
        phases = [f"{seconds:.1f}" if seconds else "-" for seconds in (r.generate_s, r.train_s)]
        length, prompt = f"{r.tokens / r.completions:.0f}", f"{r.prompt_tokens:.0f}"
        rates = (f"{r.completions_per_s:.3f}", ratio, f"{r.tokens_per_s:.1f}")
        table.add_row(r.name, *rates, length, prompt, *phases, f"{r.peak_memory_gib:.2f}")
    Console(width=140).print(table)
