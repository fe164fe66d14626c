"""Does the tiny model learn a game that has an evaluation suite? Before and after the loop, and against blind policies.

`python -m bench.learns --env oversight` and `--env clinic` run it. Each model is scored by `medserl eval --suite GAME`
on cases that no run trains on. The trained model is compared, paired by case, with the best of all policies that do not
read on these very cases.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import one_run
from common.records import Record
from evals.core.measured import Best, Difference
from evals.suites.clinic import result as clinic
from evals.suites.oversight import result as oversight
from evals.suites.oversight.trials import HELDOUT

RESULT = "result.json"
DUO = "duo"
TRIAGE, FIRST = "triage_emergency", "first"


@dataclass(frozen=True)
class Suite:
    """How a game is scored: its part of `medserl eval`, and where in a result the measure's differences are."""

    name: str
    chosen: tuple[str, ...]  # flags of `medserl eval`
    measure: str
    cases: str  # for the table's title
    blind: Callable[[Path], Best]  # both read a result.json
    gained: Callable[[Path], Difference]

    def measured(self, args: argparse.Namespace, home: Path) -> bool:
        """All runs; prints the table. Whether every one is above the best blind policy.

        Raises ValueError when one fails.
        """
        home.mkdir(parents=True, exist_ok=True)
        results = []
        for seed in args.seeds:
            for lag in args.lags:
                results.append(self._run(args.spec, seed, lag, home, args.timeout))
                print(line(results[-1], self.measure), flush=True)
        self._show(results)
        return all(result.passed for result in results)

    def _run(self, spec: Path, seed: int, max_lag: int, home: Path, timeout_s: float) -> Run:
        minutes = one_run.run(spec, seed, max_lag, home, timeout_s)
        name = one_run.name_of(seed, max_lag)
        played = home / name / "spec.yaml"
        before = home / f"warmed-{seed}"
        if not (before / RESULT).is_file():
            self._score(one_run.warmed(home, seed), played, before, timeout_s)
        scored = self._score(home / name / "model", played, home / f"{name}-scored", timeout_s, before / RESULT)
        best = self.blind(scored)
        return Run(
            seed=seed,
            max_lag=max_lag,
            gained=self.gained(scored),
            blind=best.policy,
            above_blind=best.difference,
            minutes=minutes,
        )

    def _score(self, model: Path, spec: Path, out: Path, timeout_s: float, against: Path | None = None) -> Path:
        command = [sys.executable, "-m", "evals.run", "--suite", self.name, *self.chosen]
        command += ["--model", str(model), "--spec", str(spec), "--out", str(out)]
        command += ["--against", str(against)] if against else []
        one_run.complete(command, out.with_suffix(".txt"), timeout_s)
        return out / RESULT

    def _show(self, results: list[Run]) -> None:
        table = Table("seed", "mode", title=f"{self.measure.capitalize()} on {self.cases} [95 % interval]")
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


class Run(Record):
    """One run of the loop: the trained model against the warmed-up one, and against the best policy that does not
    read."""

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


def line(result: Run, measure: str) -> str:
    """One line for a finished run."""
    gap = result.above_blind.gap
    return (
        f"seed {result.seed}, max_lag {result.max_lag}: {measure} {result.gained.other:+.2f} -> "
        f"{result.gained.this:+.2f}, {gap.value:+.2f} [{gap.lower:+.2f}, {gap.upper:+.2f}] above {result.blind}"
    )


def _gap(one: Difference) -> str:
    return f"{one.gap.value:+.2f} [{one.gap.lower:+.2f}, {one.gap.upper:+.2f}]"


def _only(found: list[Any], measure: str) -> Difference:
    (one,) = found
    difference: Difference = one.differences[measure]
    return difference


def _audits_gained(path: Path) -> Difference:
    against = oversight.load_result(path).against
    return _only([one for one in against if (one.part, one.tier) == (HELDOUT, DUO)], "skill")


def _triage_gained(path: Path) -> Difference:
    against = clinic.load_result(path).against
    return _only([one for one in against if (one.tier, one.domain) == (FIRST, TRIAGE)], "accuracy")


AUDITS = Suite(
    name="oversight",
    chosen=("--tiers", DUO),
    measure="skill",
    cases="100 held-out trials of two proposals",
    blind=lambda path: oversight.load_result(path).group(HELDOUT, DUO).blind["skill"],
    gained=_audits_gained,
)
TRIAGES = Suite(
    name="clinic",
    chosen=("--domains", TRIAGE, "--tiers", FIRST),
    measure="accuracy",
    cases="60 triage cases of the easiest tier",
    blind=lambda path: clinic.load_result(path).group(FIRST, TRIAGE).blind["accuracy"],
    gained=_triage_gained,
)
