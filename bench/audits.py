"""Does the tiny model learn to audit two proposals? Skill before and after the loop, and against blind policies.

`python -m bench.learns --env oversight` runs it. Each model is scored by `medserl eval --suite oversight --tiers duo`
on 100 held-out trials. No policy that decides without reading has a mean skill above 0; the best of 25 on these very
trials is what the trained model is compared with, paired by trial.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import one_run
from common.records import Record
from evals.core.measured import Difference
from evals.suites.oversight.result import Result, load_result
from evals.suites.oversight.trials import HELDOUT

TIER = "duo"
SKILL = "skill"
RESULT = "result.json"


class Run(Record):
    """One run of the loop: its skill against the warmed-up model's, and against the best policy that does not read."""

    seed: int
    max_lag: int
    gained: Difference
    blind: str
    above_blind: Difference
    minutes: float

    @property
    def passed(self) -> bool:
        """Whether the trained model is above the best blind policy, with 95 % confidence."""
        assert self.above_blind.gap.lower is not None
        return self.above_blind.gap.lower > 0


def measure(args: argparse.Namespace, home: Path) -> bool:
    """All runs; prints the table. Whether every one is above the best blind policy.

    Raises ValueError when one fails.
    """
    home.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in args.seeds:
        for lag in args.lags:
            results.append(_run(args.spec, seed, lag, home, args.timeout))
            print(_line(results[-1]), flush=True)
    _show(results)
    return all(result.passed for result in results)


def _run(spec: Path, seed: int, max_lag: int, home: Path, timeout_s: float) -> Run:
    minutes = one_run.run(spec, seed, max_lag, home, timeout_s)
    name = one_run.name_of(seed, max_lag)
    played = home / name / "spec.yaml"
    before = home / f"warmed-{seed}"
    if not (before / RESULT).is_file():
        _score(one_run.warmed(home, seed), played, before, timeout_s)
    result = _score(home / name / "model", played, home / f"{name}-audits", timeout_s, before / RESULT)
    best = result.group(HELDOUT, TIER).blind[SKILL]
    (gained,) = [one.differences[SKILL] for one in result.against if (one.part, one.tier) == (HELDOUT, TIER)]
    return Run(
        seed=seed, max_lag=max_lag, gained=gained, blind=best.policy, above_blind=best.difference, minutes=minutes
    )


def _score(model: Path, spec: Path, out: Path, timeout_s: float, against: Path | None = None) -> Result:
    command = [sys.executable, "-m", "evals.run", "--suite", "oversight", "--tiers", TIER]
    command += ["--model", str(model), "--spec", str(spec), "--out", str(out)]
    command += ["--against", str(against)] if against else []
    one_run.complete(command, out.with_suffix(".txt"), timeout_s)
    return load_result(out / RESULT)


def _line(result: Run) -> str:
    gap = result.above_blind.gap
    return (
        f"seed {result.seed}, max_lag {result.max_lag}: skill {result.gained.other:+.2f} -> {result.gained.this:+.2f}, "
        f"{gap.value:+.2f} [{gap.lower:+.2f}, {gap.upper:+.2f}] above {result.blind}"
    )


def _show(results: list[Run]) -> None:
    table = Table("seed", "mode", title="Skill on 100 held-out trials of two proposals [95 % interval]")
    for column in ("warmed up", "trained", "gained", "best blind policy", "above it", "minutes"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in results:
        mode = f"lag {one.max_lag}" if one.max_lag else "synchronous"
        table.add_row(
            str(one.seed),
            mode,
            f"{one.gained.other:+.2f}",
            f"{one.gained.this:+.2f}",
            _gap(one.gained),
            f"{one.blind} {one.above_blind.other:+.2f}",
            _gap(one.above_blind),
            f"{one.minutes:.1f}",
        )
    Console(width=140).print(table)


def _gap(one: Difference) -> str:
    return f"{one.gap.value:+.2f} [{one.gap.lower:+.2f}, {one.gap.upper:+.2f}]"
