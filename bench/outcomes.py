"""`reward.outcome` of the verdict games compared: what blind policies earn under each, and how a policy learns.

    python -m bench.outcomes                # blind policies, then two outcomes of the contradiction game, 3 seeds each
    python -m bench.outcomes --seeds        # blind policies alone: seconds
    python -m bench.outcomes --runs DIR     # keeps the runs there, and continues them

The runs are `medserl selfplay learns` with a held-out curve. Those of a seed start from the same warmed-up model and
see the same tasks; only what a verdict earns differs. The learning rate is twice the spec's: runs collapse there now
and then, so that an outcome that prevents it would show. Exit code 1 when a blind policy earns under `skill`, 2 when a
run failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import msgspec
from pyarrow import parquet
from rich.console import Console
from rich.table import Table

from bench import one_run
from bench.blind import GAMES, earned, show_blind
from bench.heldout import RIGHT
from bench.learns import EDGE, bootstrap
from common.files import json_lines
from common.flags import flag_count, flag_path, flag_seconds
from common.records import Record
from envs.verdict.report import FLAG_BAND

COMPARED = ("graded", "skill")
ENV = "contradiction"


class Curve(Record):
    """One run. `versions` were evaluated; `right` holds by held-out vignette the share of right flags at each."""

    seed: int
    outcome: str
    versions: tuple[int, ...]
    right: dict[str, tuple[float, ...]]
    flags: tuple[float, ...]  # of the training rollouts, by step: share of the valid verdicts that say Error
    valid: tuple[float, ...]
    minutes: float

    @property
    def accuracy(self) -> list[float]:
        """Held-out share of right flags at each version; half of the notes hold an error, so Youden's J is 2a - 1."""
        return [fmean(point) for point in zip(*self.right.values(), strict=True)]

    def both(self, at: int) -> float:
        """Share of held-out vignettes with both twins right at the `at`-th version."""
        return fmean(float(points[at] == 1.0) for points in self.right.values())

    @property
    def fall(self) -> float:
        """The most that the held-out accuracy lost of what it had reached."""
        best = [max(self.accuracy[: at + 1]) for at in range(len(self.accuracy))]
        return max(high - now for high, now in zip(best, self.accuracy, strict=True))

    @property
    def outside(self) -> int:
        """Training steps whose share of flags left the band in which the game's alarm is silent."""
        return sum(not FLAG_BAND.low <= share <= FLAG_BAND.high for share in self.flags)


def run(args: argparse.Namespace, seed: int, outcome: str, home: Path) -> Curve:
    """One run; results that exist in `home` are not computed again. Raises ValueError when it fails."""
    name = f"{outcome}-{one_run.name_of(seed, args.lag)}"
    done = home / f"{name}.json"
    if done.is_file():
        return msgspec.json.decode(done.read_bytes(), type=Curve)
    fields = {
        "steps": args.steps,
        "learner.learning_rate": args.rate,
        "evaluation.every": args.every,
        "evaluation.tasks": args.tasks,
        f"envs.{ENV}.reward.outcome": outcome,
        f"envs.{ENV}.reward.anneal_steps": 0,
    }
    minutes = one_run.run(args.spec, seed, args.lag, home, args.timeout, name, fields=fields)
    curve = read(home / name, seed, outcome, minutes)
    done.write_bytes(msgspec.json.encode(curve))
    return curve


def read(folder: Path, seed: int, outcome: str, minutes: float) -> Curve:
    """The curve of a finished run."""
    files = sorted((folder / "heldout").glob("version-*.parquet"))
    shares = [_right(file) for file in files]
    rows = json_lines(folder / "metrics.jsonl").found
    return Curve(
        seed=seed,
        outcome=outcome,
        versions=tuple(int(file.stem.split("-")[1]) for file in files),
        right={vignette: tuple(share[vignette] for share in shares) for vignette in shares[0]},
        flags=tuple(row[f"{ENV}/flag_rate"] or 0.0 for row in rows),
        valid=tuple(row[f"{ENV}/valid_share"] for row in rows),
        minutes=minutes,
    )


def _right(file: Path) -> dict[str, float]:
    found = defaultdict[str, list[bool]](list)
    for row in parquet.read_table(file, columns=["vignette", "reason"]).to_pylist():
        found[row["vignette"]].append(row["reason"] in RIGHT)
    return {vignette: fmean(right) for vignette, right in found.items()}


def gained(curves: Iterable[Curve], last: bool) -> dict[int, list[float]]:
    """By seed: for each held-out vignette, the share right under the second outcome of COMPARED minus the first, at the
    last version or as the mean over all versions but the first."""
    by_seed = defaultdict[int, dict[str, Mapping[str, tuple[float, ...]]]](dict)
    for curve in curves:
        by_seed[curve.seed][curve.outcome] = curve.right
    start = -1 if last else 1
    return {
        seed: [fmean(two[name][start:]) - fmean(one[name][start:]) for name in one]
        for seed, found in by_seed.items()
        for one, two in [(found[COMPARED[0]], found[COMPARED[1]])]
    }


def show_curves(curves: Sequence[Curve], console: Console) -> None:
    """Print a row for each run, and the difference of the outcomes with its interval."""
    table = Table("seed", "outcome", title=f"Held-out share of right flags of the {ENV} game, by policy_version")
    for version in curves[0].versions:
        table.add_column(str(version), justify="right")
    for column in ("both twins", "flags", "steps off the band", "largest fall", "least valid", "minutes"):
        table.add_column(column, justify="right")
    for curve in curves:
        cells = (
            *(f"{share:.2f}" for share in curve.accuracy),
            _arrow([curve.both(0)], [curve.both(-1)]),
            _arrow(curve.flags[:EDGE], curve.flags[-EDGE:]),
            f"{curve.outside} of {len(curve.flags)}",
            f"{curve.fall:.2f}",
            f"{min(curve.valid):.2f}",
            f"{curve.minutes:.1f}",
        )
        table.add_row(str(curve.seed), curve.outcome, *cells)
    table.caption = (
        f"the band of flags is [{FLAG_BAND.low}, {FLAG_BAND.high}]; a constant reply has no pair of twins right"
    )
    console.print(table)
    for outcome in COMPARED:
        found = [curve for curve in curves if curve.outcome == outcome]
        off, steps = sum(curve.outside for curve in found), sum(len(curve.flags) for curve in found)
        both = _arrow([curve.both(0) for curve in found], [curve.both(-1) for curve in found])
        console.print(f"{outcome}: {off} of {steps} steps off the band, both twins right {both}")
    for name, last in (("mean after the start", False), ("last version", True)):
        gain, lower, upper = bootstrap(gained(curves, last))
        verdict = "within noise" if lower <= 0 <= upper else "a difference"
        console.print(
            f"{COMPARED[1]} - {COMPARED[0]}, {name}: {gain:+.3f} [{lower:+.3f}, {upper:+.3f}] (95 %, over seeds and "
            f"vignettes): {verdict}"
        )


def _arrow(before: Sequence[float], after: Sequence[float]) -> str:
    return f"{fmean(before):.2f} -> {fmean(after):.2f}"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags; `given` instead of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=flag_count, default=1000, help="notes that blind policies reply to, a game")
    parser.add_argument("--spec", type=flag_path, default=Path("deploy/learns.yaml"), help="spec of every run")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="none: no runs")
    parser.add_argument("--lag", type=int, default=1, help="buffer.max_lag; 0 is synchronous")
    parser.add_argument("--steps", type=flag_count, default=48, help="learner steps of a run")
    parser.add_argument("--rate", type=float, default=1e-4, help="learner.learning_rate")
    parser.add_argument(
        "--every", type=flag_count, default=12, help="learner steps between points of the held-out curve"
    )
    parser.add_argument("--tasks", type=flag_count, default=192, help="held-out tasks")
    parser.add_argument("--timeout", type=flag_seconds, default=1200, help="seconds per run")
    parser.add_argument("--runs", type=flag_path, help="keep the runs here (default: a temporary folder)")
    return parser.parse_args(given)


def measure(args: argparse.Namespace, home: Path) -> list[Curve]:
    """All runs, one line each as it ends. Raises ValueError when one fails."""
    home.mkdir(parents=True, exist_ok=True)
    curves = []
    for seed in args.seeds:
        for outcome in COMPARED:
            curves.append(run(args, seed, outcome, home))
            accuracy = curves[-1].accuracy
            print(f"seed {seed}, {outcome}: held-out {accuracy[0]:.2f} -> {accuracy[-1]:.2f}", flush=True)
    return curves


def main() -> int:
    """Print both tables. Exit code 0; 1: a blind policy earns under `skill`; 2: a run failed."""
    args = arguments()
    console = Console(width=160)
    fair = show_blind({settings.id: earned(settings, args.count) for settings in GAMES}, console)
    if args.seeds:
        try:
            with tempfile.TemporaryDirectory() as folder:
                show_curves(measure(args, args.runs or Path(folder)), console)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
    return 0 if fair else 1


if __name__ == "__main__":
    sys.exit(main())
