"""One line of the throughput table, which every system prints, and the table."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console
from rich.table import Table

from common.records import Record

TRL, VLLM, ENGINE = "TRL GRPOTrainer", "bare vLLM (no training)", "MedSeRL engine alone (no training)"
"""The rows with which others are compared."""


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
        """Over all measured steps."""
        return self.completions / self.seconds

    @property
    def tokens_per_s(self) -> float:
        """Completion tokens per second over all measured steps."""
        return self.tokens / self.seconds

    @property
    def trains(self) -> bool:
        """False for a stack that only samples."""
        return self.train_s > 0

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
    raise ValueError("the process printed no result line; the end of its output is above")


def named(results: list[Result], name: str) -> Result | None:
    """The row of that name, where it was measured."""
    return next((r for r in results if r.name == name), None)


def share(result: Result, results: list[Result]) -> float | None:
    """Lambda: completions/s while learning over those of our engine alone. None where either is missing."""
    alone = named(results, ENGINE)
    return result.completions_per_s / alone.completions_per_s if alone and result.trains else None


def remarks(results: list[Result]) -> list[str]:
    """The remarks under the table."""
    alone, bare = named(results, ENGINE), named(results, VLLM)
    lines = []
    if alone:
        lines.append("lambda: completions/s while learning over those of MedSeRL's engine alone, both on all cores")
    if alone and bare:
        ratio = alone.tokens_per_s / bare.tokens_per_s
        lines.append(f"rollout tokens/s of MedSeRL's engine alone over bare vLLM's: {ratio:.2f}")
    return lines


def show(results: list[Result], where: str) -> None:
    """Print the table under its title, which says `where` it was measured, and the remarks."""
    trl = named(results, TRL)
    table = Table("system", title=f"Throughput, whole steps: {where}")
    columns = (
        "completions/s",
        "x TRL",
        "lambda",
        "tokens/s",
        "tokens each",
        "prompt",
        "generate s",
        "train s",
        "peak GiB",
    )
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for r in results:
        ratio = f"{r.completions_per_s / trl.completions_per_s:.2f}" if trl else "-"
        learning = share(r, results)
        phases = [f"{seconds:.1f}" if seconds else "-" for seconds in (r.generate_s, r.train_s)]
        length, prompt = f"{r.tokens / r.completions:.0f}", f"{r.prompt_tokens:.0f}"
        rates = (f"{r.completions_per_s:.3f}", ratio, f"{learning:.2f}" if learning else "-", f"{r.tokens_per_s:.1f}")
        table.add_row(r.name, *rates, length, prompt, *phases, f"{r.peak_memory_gib:.2f}")
    console = Console(width=150, markup=False, highlight=False)
    console.print(table)
    for line in remarks(results):
        console.print(line)
