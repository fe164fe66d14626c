"""A picture of a run: reward, what the games measure, lag and tokens per second over its steps, from metrics.jsonl."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from common.files import write_whole
from common.statistics import Interval
from deploy.report.steps import FILE, Row, read_steps
from envs.contract.alarms import beginning
from envs.contract.page_view import words
from envs.contract.report import Measure, Report
from envs.contract.reports import AlarmSpan, Reports, alarm_spans, history, value
from evals.core import figures
from evals.core.curve import FILE as CURVE
from evals.core.curve import points
from evals.core.evaluator import EvalPoint
from evals.core.figures import BLUE, GREEN, GREY, INK, ORANGE, RED

Panel = tuple[str, Callable[[Axes, list[Row]], None]]
"""Title, and what draws it."""
Line = tuple[str, str, str]
"""Key in a line of metrics.jsonl, label, colour."""
STYLES = ((GREEN, "--"), (ORANGE, "-"), (BLUE, ":"), (INK, "-."))
"""Colours of a game's measures, in their order; further measures are not drawn."""
LEGEND = 4
"""Entries in a line of a legend."""

HEALTH: tuple[tuple[str, tuple[Line, ...]], ...] = (
    ("Loss", (("loss", "mean over sampled tokens", BLUE),)),
    ("Gradient norm", (("grad_norm", "before clipping", BLUE),)),
    (
        "KL, nats per token",
        (("kl_to_reference", "to the warmed-up policy", BLUE), ("mismatch_kl", "engines to learner", ORANGE)),
    ),
    ("Entropy, nats per token", (("entropy", "of what was sampled", BLUE),)),
    ("Length of a reply, tokens", (("reply_tokens", "mean of the batch", BLUE),)),
    (
        "Shares of the batch",
        (("truncated_share", "truncated", ORANGE), ("uniform_groups", "groups of equal rewards", GREY)),
    ),
)
"""Panels of any game, by title; one without a number is left out."""


def draw(run_folder: Path, reports: Reports) -> Path:
    """Write `progress.png`, whole or not at all. Raises ValueError when there is no step to draw, naming the file."""
    path = run_folder / "progress.png"
    write_whole(path, picture(run_folder, reports))
    return path


def picture(run_folder: Path, reports: Reports) -> bytes:
    """The figure as a PNG. Raises ValueError when there is no step to draw, naming the file."""
    drawn = BytesIO()
    figure(run_folder, reports).savefig(drawn, dpi=figures.DPI)
    return drawn.getvalue()


def figure(run_folder: Path, reports: Reports) -> Figure:
    """Drawn from `metrics.jsonl` (one JSON object a step) and `evaluations.jsonl`; an absent series is left out.

    Raises ValueError when there is no step to draw, naming the file.
    """
    rows = _rows(run_folder)
    curve = points(run_folder / CURVE).found
    panels: list[Panel] = [("Reward", _reward)]
    for env_id, report in reports.items():
        suffix = f" ({env_id})" if len(reports) > 1 else ""
        spans = alarm_spans(env_id, report, rows)
        panels.append((report.title + suffix, _Game(env_id, report, curve, spans)))
        if any(_is_relative(measure) for measure in report.measures):
            panels.append((f"Drift, start = 1{suffix}", _Drift(env_id, report, spans)))
    panels += [(title, _Lines(lines)) for title, lines in HEALTH if any(_is_known(rows, key) for key, *_ in lines)]
    panels += [("Policy lag", _lag), ("Tokens per second", _throughput)]
    lines = math.ceil(len(panels) / 2)
    made = figures.blank(10.5, 3.2 * lines)
    grid = made.subplots(lines, 2, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, panel) in zip(grid.flat, panels, strict=False):
        _dress(axes, title, [row["step"] for row in rows])
        panel(axes, rows)
        _explain(axes, title)
    made.suptitle(f"{run_folder.resolve().name}: {len(rows)} learner steps", fontsize=13, x=0.01, ha="left")
    return made


def _explain(axes: Axes, title: str) -> None:
    """The legend, right of the title; one of two lines below it."""
    labels = axes.get_legend_handles_labels()[1]
    if len(labels) > LEGEND:
        axes.set_title(title, loc="left", fontsize=11, pad=26)
    if labels:
        axes.legend(
            frameon=False,
            fontsize=8,
            loc="lower right",
            bbox_to_anchor=(1.01, 0.98),
            ncols=LEGEND,
            handlelength=1.5,
            columnspacing=1.1,
            handletextpad=0.5,
        )


def _rows(run_folder: Path) -> list[Row]:
    path = run_folder / FILE
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give the folder of a run")
    rows, damaged = read_steps(run_folder)
    if not rows:
        raise ValueError(damaged[0] if damaged else f"{path}: no step yet; the plot needs at least one")
    return rows


def _dress(axes: Axes, title: str, steps: list[int]) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("learner step", fontsize=9, color=GREY)
    axes.set_xlim(min(steps) - 0.5, max(steps) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=9, color=GREY)
    figures.dress(axes, "y")


def _line(axes: Axes, rows: list[Row], key: str, label: str, color: str, **style: Any) -> None:
    points = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
    if points:
        marker = "o" if len(points) <= 60 else ""
        axes.plot(*zip(*points, strict=True), color=color, label=label, marker=marker, markersize=4, **style)


def _reward(axes: Axes, rows: list[Row]) -> None:
    band = [row for row in rows if row.get("reward_mean") is not None and row.get("reward_std") is not None]
    if band:
        axes.fill_between(
            [row["step"] for row in band],
            [row["reward_mean"] - row["reward_std"] for row in band],
            [row["reward_mean"] + row["reward_std"] for row in band],
            color=BLUE,
            alpha=0.12,
            linewidth=0,
            label="± one standard deviation",
        )
    axes.axhline(0, color=GREY, linewidth=0.8)
    _line(axes, rows, "reward_mean", "mean of the batch", BLUE)


class _Game:
    """A panel with a game's measures over the steps, and its held-out figure."""

    def __init__(self, env_id: str, report: Report, curve: list[EvalPoint], alarms: list[AlarmSpan]) -> None:
        self._env_id, self._report, self._curve, self._alarms = env_id, report, curve, alarms

    def __call__(self, axes: Axes, rows: list[Row]) -> None:
        past = history(self._env_id, self._report, rows)
        measured = [{"step": row["step"], **measures} for row, measures in zip(rows, past, strict=True)]
        drawn = [measure for measure in self._report.measures if measure.drawn]
        lowest = min((row.get(one.name) or 0.0 for row in measured for one in drawn), default=0.0)
        axes.set_ylim(min(lowest, 0.0) - 0.03, 1.03)
        for measure, (color, style) in zip(drawn, STYLES, strict=False):
            _line(axes, measured, measure.name, measure.header or words(measure.name), color, linestyle=style)
            if band := measure.band:
                axes.axhspan(band.low, band.high, color=color, alpha=0.1, linewidth=0, label="healthy band")
        if self._report.heldout_chance is not None:
            axes.axhline(
                self._report.heldout_chance, color=INK, linewidth=0.8, linestyle=":", label="held-out by chance"
            )
        _shade(axes, self._alarms)
        played = [(point.policy_version, point.measures.get(self._env_id)) for point in self._curve]
        _heldout(axes, [(version, found[self._report.heldout_drawn]) for version, found in played if found])


class _Drift:
    """A panel with the measures that are no shares, each relative to where the run began."""

    def __init__(self, env_id: str, report: Report, alarms: list[AlarmSpan]) -> None:
        self._env_id, self._alarms = env_id, alarms
        self._measures = [one for one in report.measures if _is_relative(one)]

    def __call__(self, axes: Axes, rows: list[Row]) -> None:
        axes.axhline(1, color=GREY, linewidth=0.8)
        for measure, (color, style) in zip(self._measures, STYLES, strict=False):
            seen = [(row["step"], value(row, self._env_id, measure.name)) for row in rows]
            known = [(step, number) for step, number in seen if number is not None]
            start = beginning([number for _, number in known]) if known else 0.0
            if start > 0:
                relative = [{"step": step, "value": number / start} for step, number in known]
                _line(axes, relative, "value", measure.header or words(measure.name), color, linestyle=style)
        axes.set_ylim(bottom=0)
        _shade(axes, self._alarms)


class _Lines:
    """A panel of figures from metrics.jsonl."""

    def __init__(self, lines: tuple[Line, ...]) -> None:
        self._lines = lines

    def __call__(self, axes: Axes, rows: list[Row]) -> None:
        for key, label, color in self._lines:
            _line(axes, rows, key, label, color)


def _is_known(rows: list[Row], key: str) -> bool:
    return any(row.get(key) is not None for row in rows)


def _is_relative(measure: Measure) -> bool:
    return measure.drift is not None and not measure.drawn


def _shade(axes: Axes, alarms: list[AlarmSpan]) -> None:
    for number, span in enumerate(alarms):
        label = None if number else "alarm"
        axes.axvspan(span.first - 0.5, span.last + 0.5, color=RED, alpha=0.12, linewidth=0, label=label)


def _heldout(axes: Axes, curve: list[tuple[int, Interval]]) -> None:
    """A held-out share with its 95 % interval."""
    known = [
        (version, share.value, share.lower, share.upper)
        for version, share in curve
        if share.value is not None and share.lower is not None and share.upper is not None
    ]
    if known:
        axes.errorbar(
            [version for version, *_ in known],
            [value for _, value, _, _ in known],
            [[max(0.0, v - lower) for _, v, lower, _ in known], [max(0.0, upper - v) for _, v, _, upper in known]],
            color=INK,
            fmt="s",
            markersize=4,
            capsize=3,
            linewidth=1,
            label="held-out",
        )
        axes.set_xlim(left=min(axes.get_xlim()[0], known[0][0] - 0.5))


def _lag(axes: Axes, rows: list[Row]) -> None:
    _line(axes, rows, "policy_lag", "largest of the batch, learner steps", BLUE, drawstyle="steps-mid")
    axes.set_ylim(-0.1, max([row.get("policy_lag") or 0 for row in rows]) + 1)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _throughput(axes: Axes, rows: list[Row]) -> None:
    _line(axes, rows, "rollout_tokens_per_second", "rollouts (completions)", BLUE)
    _line(axes, rows, "learner_tokens_per_second", "learner (with prompts)", ORANGE)
    axes.set_ylim(bottom=0)
