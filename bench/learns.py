"""Does the algorithm learn? Held-out accuracy before and after the real loop, over seeds, synchronous and asynchronous.

    python -m bench.learns
    python -m bench.learns --env lookup        the credit test (bench/credit.py)
    python -m bench.learns --env oversight     audits of two proposals (bench/suites.py)
    python -m bench.learns --env clinic        triage, its easiest tier (bench/suites.py)

Every run is `medserl selfplay learns` as its own process. A seed's two modes start from the same
warmed-up model. The exit code is 1 when the lower bound of the pooled gain in held-out accuracy is not above zero.
It is the regression test of learning: the game is a toy and nothing medical is claimed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import yaml
from pyarrow import parquet
from rich.console import Console
from rich.table import Table

from bench import credit, heldout, one_run, suites
from bench.heldout import Outcome
from common.config import RunSpec
from common.files import json_lines
from common.flags import flag_count, flag_path, flag_seconds
from common.records import Record
from common.statistics import wilson
from envs.contradiction.environment import SEEN_PAIR, UNSEEN_PAIR, Contradiction
from envs.contradiction.spec import ContradictionSettings
from evals.core import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPECS = {
    "contradiction": "learns.yaml",
    "lookup": "lookup.yaml",
    "oversight": "oversight_duo.yaml",
    "clinic": "clinic_first.yaml",
}
OTHERS = {"lookup": credit.measure, "oversight": suites.AUDITS.measured, "clinic": suites.TRIAGES.measured}
"""Games with a measure of their own; it prints its table and says whether the game is learnt."""
RESAMPLES = 4000
EDGE = 3  # first and last steps whose mean reward is shown
COLOURS = {"synchronous": figures.BLUE, "asynchronous": figures.ORANGE}


class Learnt(Record):
    """One run: the same held-out tasks before and after it, and its training by step."""

    seed: int
    max_lag: int
    before: tuple[Outcome, ...]
    after: tuple[Outcome, ...]
    accuracy: tuple[float, ...]  # mean of the training rollouts, per step
    reward: tuple[float, ...]  # mean of the training rollouts, per step
    lag: int  # largest of any rollout
    minutes: float

    @property
    def mode(self) -> str:
        """Name of the loop's mode, for tables."""
        return "asynchronous" if self.max_lag else "synchronous"


def run(path: Path, seed: int, max_lag: int, home: Path, count: int, timeout_s: float) -> Learnt:
    """One run of the loop and its evaluation; results that exist in `home` are not computed again.

    Raises ValueError with the end of its output when it fails.
    """
    name = one_run.name_of(seed, max_lag)
    done = home / f"{name}.json"
    if done.is_file():
        return msgspec.json.decode(done.read_bytes(), type=Learnt)
    minutes = one_run.run(path, seed, max_lag, home, timeout_s)
    result = _evaluated(home / name, one_run.warmed(home, seed), max_lag, count, minutes)
    done.write_bytes(msgspec.json.encode(result))
    return result


def _evaluated(folder: Path, warmed: Path, max_lag: int, count: int, minutes: float) -> Learnt:
    spec = RunSpec(**yaml.safe_load((folder / "spec.yaml").read_text()))
    (settings,) = spec.envs
    assert isinstance(settings, ContradictionSettings)
    env = Contradiction(settings, spec.seed)
    tasks = heldout.tasks(env, count)
    rows = json_lines(folder / "metrics.jsonl").found
    return Learnt(
        seed=spec.seed,
        max_lag=max_lag,
        before=tuple(heldout.evaluate(warmed, spec, env, tasks)),
        after=tuple(heldout.evaluate(folder / "model", spec, env, tasks)),
        accuracy=tuple(row["contradiction/accuracy"] for row in rows),
        reward=tuple(row["reward_mean"] for row in rows),
        lag=largest_lag(folder),
        minutes=minutes,
    )


def largest_lag(folder: Path) -> int:
    """The largest policy lag among all rollouts that the run trained on."""
    tables = (parquet.read_table(file, columns=["policy_lag"]) for file in (folder / "rollouts").glob("step-*.parquet"))
    lags: list[int] = [lag for table in tables for lag in table["policy_lag"].to_pylist()]
    return max(lags)


def gains(results: Iterable[Learnt], part: str | None = None) -> dict[int, list[float]]:
    """By seed: for every held-out vignette, the mean over twins and modes of right after minus right before."""
    differences: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        for before, after in zip(result.before, result.after, strict=True):
            if part in (None, before.part):
                differences[result.seed][before.vignette].append(float(after.right) - float(before.right))
    return {seed: [statistics.fmean(v) for v in vignettes.values()] for seed, vignettes in differences.items()}


def bootstrap(by_seed: dict[int, list[float]], resamples: int = RESAMPLES) -> tuple[float, float, float]:
    """(mean, lower, upper): 95 % percentile interval, seeds resampled first and vignettes within each of them."""
    rng = random.Random(0)
    clusters = list(by_seed.values())
    means = sorted(
        statistics.fmean(
            statistics.fmean(rng.choices(cluster, k=len(cluster))) for cluster in rng.choices(clusters, k=len(clusters))
        )
        for _ in range(resamples)
    )
    mean = statistics.fmean(statistics.fmean(cluster) for cluster in clusters)
    return mean, means[int(0.025 * resamples)], means[int(0.975 * resamples) - 1]


def accuracy(outcomes: Sequence[Outcome], part: str | None = None) -> tuple[float, float, float]:
    """(share right, lower, upper) over one part or all."""
    right = [outcome.right for outcome in outcomes if part in (None, outcome.part)]
    return (sum(right) / len(right), *wilson(sum(right), len(right)))


def both_right(outcomes: Sequence[Outcome]) -> float:
    """The share of vignettes with both twins right: what a constant reply, right on half of the notes, never has."""
    twins: dict[str, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        twins[outcome.vignette].append(outcome.right)
    return statistics.fmean(float(all(right)) for right in twins.values())


def show(results: Sequence[Learnt], console: Console | None = None) -> float:
    """Print the table of runs and the pooled gains; returns the lower bound of the gain over all held-out tasks."""
    console = console or Console(width=160)
    table = Table("seed", "mode", title="Held-out accuracy, before -> after [95 % interval]")
    table.caption = "a constant reply scores 0.50, and 0.00 on both twins"
    for column in ("all", "seen pairs", "unseen pairs", "both twins", "reward", "largest lag", "minutes"):
        table.add_column(column, justify="right", no_wrap=True)
    for result in results:
        shares = [_change(result, part) for part in (None, SEEN_PAIR, UNSEEN_PAIR)]
        reward = f"{statistics.fmean(result.reward[:EDGE]):+.2f} -> {statistics.fmean(result.reward[-EDGE:]):+.2f}"
        twins = f"{both_right(result.before):.2f} -> {both_right(result.after):.2f}"
        table.add_row(str(result.seed), result.mode, *shares, twins, reward, str(result.lag), f"{result.minutes:.1f}")
    console.print(table)
    groups = [("pooled", list(results))]
    groups += [(mode, [result for result in results if result.mode == mode]) for mode in COLOURS]
    for name, chosen in groups:
        if chosen:
            parts = (("all", None), ("seen pairs", SEEN_PAIR), ("unseen pairs", UNSEEN_PAIR))
            gained = ", ".join(f"{label} {_interval(bootstrap(gains(chosen, part)))}" for label, part in parts)
            console.print(f"gain, {name}: {gained}")
    return bootstrap(gains(results))[1]


def _change(result: Learnt, part: str | None) -> str:
    before, after = accuracy(result.before, part), accuracy(result.after, part)
    return f"{before[0]:.2f} -> {after[0]:.2f} [{after[1]:.2f}, {after[2]:.2f}]"


def _interval(numbers: tuple[float, float, float]) -> str:
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*numbers)


def draw(results: Sequence[Learnt], path: Path) -> None:
    """Training accuracy over steps, and held-out accuracy before and after each run with its interval."""
    figure = figures.blank(10.5, 4.0)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for result in results:
        label = result.mode if result.seed == results[0].seed else None
        steps = range(1, len(result.accuracy) + 1)
        left.plot(steps, result.accuracy, color=COLOURS[result.mode], label=label, linewidth=1.2, alpha=0.8)
    left.set_title("Training rollouts", loc="left", fontsize=11)
    left.set_xlabel("learner step")
    left.set_ylabel("share of right flags")
    for place, result in enumerate(results):
        for outcomes, marker in ((result.before, "o"), (result.after, "s")):
            share, lower, upper = accuracy(outcomes)
            right.errorbar(
                place,
                share,
                [[share - lower], [upper - share]],
                fmt=marker,
                color=COLOURS[result.mode],
                mfc="white" if marker == "o" else None,
                capsize=3,
            )
    names = [f"seed {result.seed}\nlag {result.max_lag}" for result in results]
    right.set_xticks(range(len(results)), names, fontsize=8)
    right.set_title("Held-out notes, before (o) and after", loc="left", fontsize=11)
    for axes in (left, right):
        _dress(axes)
    left.legend(frameon=False, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=figures.DPI)


def _dress(axes: Axes) -> None:
    axes.axhline(0.5, color=figures.GREY, linewidth=0.8, linestyle="--")  # always "clean", or always "error"
    axes.set_ylim(0, 1.02)
    figures.dress(axes, "y")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags; `given` instead of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", choices=SPECS, default="contradiction", help="the game (default: %(default)s)")
    parser.add_argument("--spec", type=flag_path, help="spec of every run (default: the game's own)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--lags", type=int, nargs="+", default=[0, 1], help="buffer.max_lag; 0 is synchronous")
    parser.add_argument("--tasks", type=flag_count, default=512, help="held-out tasks (contradiction)")
    parser.add_argument("--timeout", type=flag_seconds, default=1200, help="seconds per run")
    parser.add_argument(
        "--runs", type=flag_path, help="keep the runs here and continue them (default: a temporary folder)"
    )
    parser.add_argument("--out", type=flag_path, default=Path("runs/learns.png"), help="where the plot goes")
    args = parser.parse_args(given)
    args.spec = args.spec or Path("deploy") / SPECS[args.env]
    return args


def measure(args: argparse.Namespace, home: Path) -> list[Learnt]:
    """All runs, one line each as it ends. Raises ValueError when one fails."""
    home.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in args.seeds:
        for lag in args.lags:
            results.append(run(args.spec, seed, lag, home, args.tasks, args.timeout))
            print(f"{results[-1].mode}, seed {seed}: {_change(results[-1], None)}", flush=True)
    return results


def main() -> int:
    """Run, print, draw. Exit code 0: it learns; 1: not shown; 2: a run failed."""
    args = arguments()
    try:
        with tempfile.TemporaryDirectory() as folder:
            home = args.runs or Path(folder)
            if args.env in OTHERS:
                return 0 if OTHERS[args.env](args, home) else 1
            results = measure(args, home)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    lower = show(results)
    draw(results, args.out)
    print(f"plot: {args.out}")
    return 0 if lower > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
