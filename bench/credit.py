"""Does an early turn get credit for a late reward? Held-out share solved of the lookup game, over seeds and modes.

`python -m bench.learns --env lookup` runs it. The game cannot be solved without a good first turn, and demonstrations
do not show one. The control (`bench.last_turn`) zeroes the returns of earlier turns: it must not learn.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import one_run
from common.records import Record
from common.statistics import Interval
from evals.core import curve

MEASURE = "solved_share"
LEARNT, NOT_LEARNT = 0.9, 0.6
"""Held-out share solved with credit at least, without at most."""


class Run(Record):
    """One run of the loop: its held-out share solved before and after."""

    seed: int
    max_lag: int
    control: bool
    before: Interval
    after: Interval
    minutes: float

    @property
    def passed(self) -> bool:
        """Whether it learnt exactly if it could."""
        assert self.after.value is not None
        return self.after.value <= NOT_LEARNT if self.control else self.after.value >= LEARNT


def run(spec: Path, seed: int, max_lag: int, control: bool, home: Path, timeout_s: float) -> Run:
    """One run as its own process. Raises ValueError with the end of its output when it fails."""
    name = one_run.name_of(seed, max_lag) + "-control" * control
    module = "bench.last_turn" if control else one_run.SELFPLAY
    minutes = one_run.run(spec, seed, max_lag, home, timeout_s, name, module)
    points = curve.points(home / name / curve.FILE).found
    if not points:
        raise ValueError(f"{home / name}: nothing was evaluated; the spec needs evaluation.every above 0")
    before, after = (point.measures["lookup"][MEASURE] for point in (points[0], points[-1]))
    return Run(seed=seed, max_lag=max_lag, control=control, before=before, after=after, minutes=minutes)


def measure(args: argparse.Namespace, home: Path) -> bool:
    """All runs, and a synchronous control for each seed; prints the table. Whether all passed.

    Raises ValueError when one fails.
    """
    home.mkdir(parents=True, exist_ok=True)
    wanted = [(seed, lag, False) for seed in args.seeds for lag in args.lags]
    wanted += [(seed, 0, True) for seed in args.seeds]
    results = []
    for seed, lag, control in wanted:
        results.append(run(args.spec, seed, lag, control, home, args.timeout))
        print(_line(results[-1]), flush=True)
    _show(results)
    return all(result.passed for result in results)


def _line(result: Run) -> str:
    kind = "control" if result.control else "run"
    change = f"{result.before} -> {result.after}"
    return f"{kind}, seed {result.seed}, max_lag {result.max_lag}: held-out solved {change}"


def _show(results: list[Run]) -> None:
    table = Table("seed", "max_lag", "credit to", "held-out solved before", "after", "minutes", "passed")
    for one in results:
        columns = (
            one.seed,
            one.max_lag,
            "last turn" if one.control else "all turns",
            one.before,
            one.after,
            f"{one.minutes:.1f}",
            one.passed,
        )
        table.add_row(*map(str, columns))
    Console(width=120).print(table)
