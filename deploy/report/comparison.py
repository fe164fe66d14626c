"""Two runs side by side: scores and speeds, the fields in which their specs differ, and a picture of their curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from common.config import RunSpec
from common.spec_file import read_settings
from deploy.report.steps import read_steps
from envs.contract.reports import reports_of
from evals.core import curve

LAST = 5
"""Number of last steps over which the final figures are means."""
Row = dict[str, Any]


def best_heldout(run: Path) -> float | None:
    """The best held-out score of a run; None where nothing was evaluated."""
    return max((value for _, value, _, _ in heldout(run)), default=None)


def heldout(run: Path) -> list[tuple[int, float, float, float]]:
    """The held-out curve of the run's first game: (policy_version, score, lower, upper) of each point, 95 % interval.

    Empty for a spec of an older version that can no longer be read.
    """
    try:
        spec = RunSpec.model_validate(read_settings(run / "spec.yaml"))
    except ValidationError:
        return []
    env_id, report = next(iter(reports_of(spec).items()))
    points = curve.points(run / curve.FILE).found
    found = [(point.policy_version, point.measures.get(env_id, {}).get(report.heldout_drawn)) for point in points]
    return [
        (version, score.value, score.lower, score.upper)
        for version, score in found
        if score is not None and score.value is not None and score.lower is not None and score.upper is not None
    ]


def figures(run: Path) -> dict[str, float | None]:
    """A run's figures by name; None where not measured."""
    rows, points = read_steps(run).found, heldout(run)
    return {
        "steps": len(rows),
        f"reward, last {LAST} steps": _mean(rows[-LAST:], "reward_mean"),
        "best held-out score": best_heldout(run),
        "last held-out score": points[-1][1] if points else None,
        "largest policy lag": max((row["policy_lag"] for row in rows), default=None),
        "completions per second": _rate(rows, "completions"),
        "sampled tokens per second": _rate(rows, "rollout_tokens"),
        "seconds per step": _mean(rows, "seconds"),
        "share of time the learner waits": _rate(rows, "wait_seconds"),
        f"log-prob difference, last {LAST} steps": _mean(rows[-LAST:], "fresh_logp_difference"),
    }


def differences(first: Path, second: Path) -> dict[str, tuple[Any, Any]]:
    """The fields in which the specs differ, by dotted name, except `name`. None where a spec lacks the field."""
    return unlike(*(read_settings(run / "spec.yaml") for run in (first, second)))


def unlike(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """As `differences`, of two specs."""
    one, two = dict(_fields(first)), dict(_fields(second))
    names = sorted(one.keys() | two.keys())
    return {name: (one.get(name), two.get(name)) for name in names if name != "name" and one.get(name) != two.get(name)}


def _fields(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf by its dotted name; elements of a list by their `name` or `id`, such as a pool's or a game's."""
    for name, value in content.items():
        for key in ("name", "id"):
            if isinstance(value, list) and value and all(_names(one, key) for one in value):
                value = {one[key]: {inner: held for inner, held in one.items() if inner != key} for one in value}
        if isinstance(value, dict):
            yield from _fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _names(value: Any, key: str) -> bool:
    return isinstance(value, dict) and isinstance(value.get(key), str)


def _mean(rows: list[Row], key: str) -> float | None:
    values = [row[key] for row in rows if row.get(key) is not None]
    return sum(values) / len(values) if values else None


def _rate(rows: list[Row], key: str) -> float | None:
    """The sum over the wall seconds of all steps."""
    return sum(row[key] for row in rows) / sum(row["seconds"] for row in rows) if rows else None


def draw(first: Path, second: Path, out: Path) -> None:
    """Write a PNG: reward, held-out score, policy lag and tokens per second of both runs.

    Raises ValueError when neither has made a step.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    runs = {run: read_steps(run).found for run in (first, second)}
    if not any(runs.values()):
        raise ValueError(f"{first} and {second} have no step yet: nothing to draw")
    names = dict(zip(runs, labels(first, second), strict=True))
    figure = Figure(figsize=(10.5, 6.4), layout="constrained")
    grid = figure.subplots(2, 2)
    for axes, (title, key) in zip(grid.flat, PANELS, strict=True):
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel("learner step", fontsize=9, color=GREY)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        for (run, rows), color in zip(runs.items(), COLORS, strict=True):
            _curve(axes, run, rows, key, color, names[run])
    grid.flat[0].legend(frameon=False, fontsize=9)
    figure.suptitle(" and ".join(names.values()), fontsize=13, x=0.01, ha="left")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=130)


PANELS = (
    ("Reward, mean of the batch", "reward_mean"),
    ("Held-out score, 95 % interval", ""),
    ("Policy lag, largest of the batch", "policy_lag"),
    ("Sampled tokens per second", "rollout_tokens_per_second"),
)
COLORS = ("#0b63a5", "#c2570c")
GREY = "#6b7280"


def labels(first: Path, second: Path) -> tuple[str, str]:
    """Names of the two for legends; their paths where the names are equal."""
    if first.resolve().name != second.resolve().name:
        return first.resolve().name, second.resolve().name
    return str(first), str(second)


def _curve(axes: Any, run: Path, rows: list[Row], key: str, color: str, label: str) -> None:
    """One run's line in a panel; without a key the held-out curve."""
    if key:
        shown = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
        axes.plot([x for x, _ in shown], [y for _, y in shown], color=color, label=label, marker=".", markersize=4)
        return
    points = heldout(run)
    below = [max(0.0, value - lower) for _, value, lower, _ in points]  # a bootstrap's may lie beside its value
    above = [max(0.0, upper - value) for _, value, _, upper in points]
    at, values = [version for version, *_ in points], [value for _, value, _, _ in points]
    axes.errorbar(at, values, [below, above], color=color, fmt="s-", markersize=4, capsize=3, linewidth=1)
