"""The plot of a result: scores with intervals and floors, and the share of notes flagged, by error type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from common.statistics import Interval
from evals.core import figures
from evals.core.figures import BLUE, GREY, ORANGE, legend, point, rows
from evals.suites.medec.result import Part, Result, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {
    "always clean": "v",
    "always error, no sentence": "^",
    "always error, last sentence": "s",
    "copy the error": "x",
}
KNOWING = "copy the error"
"""Knows every flag and sentence: a floor of the correction only."""
CORRECTION = "ROUGE-1 composite"
PANEL_WIDTHS = (3, 2)


def draw(result: Result, path: Path) -> None:
    """Draw `report.png` of a result that has a system."""
    part = result.parts[0]
    assert part.system is not None
    figure = figures.blank(11.5, 4.8)
    left, right = figure.subplots(1, 2, width_ratios=PANEL_WIDTHS)
    _figures(left, result.system, part, part.system)
    _types(right, part.system)
    title = f"{result.suite.upper()}: {result.system}, {part.notes} notes ({part.errors} with an error)"
    if result.replies is not None and result.replies.invalid.value is not None:
        title += f", {result.replies.invalid.value:.0%} of replies invalid"
    figures.save(figure, title, path)


def _figures(axes: Axes, system: str, part: Part, scores: Scores) -> None:
    names = ["flag accuracy", "sentence accuracy", "pair accuracy", "Youden J", CORRECTION]
    for name, mark in MARKS.items():
        heights = _values(part.floors[name])
        floor_of = range(len(names)) if name != KNOWING else [names.index(CORRECTION)]
        points = [(heights[at], at + 0.16) for at in floor_of if heights[at] is not None]
        axes.plot(*zip(*points, strict=True), mark, color=GREY, mfc="none", markersize=6, label=name)
    d = scores.detection
    composite = scores.protocol.corrections.rouge1.composite
    shown = [d.flag_accuracy, d.sentence_accuracy, d.pair_accuracy, d.youden_j]
    shown.append(Interval(value=composite, lower=composite, upper=composite, of=scores.protocol.texts))
    for at, one in enumerate(shown):
        point(axes, one, at - 0.08, BLUE, "o", system if at == 0 else None)
    axes.set_title("Figures and floors, 95 % intervals", loc="left", fontsize=11)
    low = min([0.0, *(one.lower for one in shown if one.lower is not None)])
    axes.set_xlim(low - 0.04, 1.04)
    rows(axes, names)
    legend(axes, 2, 0.08)


def _values(floor: Scores) -> list[float | None]:
    d = floor.detection
    composite = floor.protocol.corrections.rouge1.composite
    return [d.flag_accuracy.value, d.sentence_accuracy.value, d.pair_accuracy.value, d.youden_j.value, composite]


def _types(axes: Axes, scores: Scores) -> None:
    d = scores.detection
    names = []
    for at, (name, one) in enumerate(d.types.items()):
        point(axes, one.detected, at - 0.12, BLUE, "o", "flagged" if at == 0 else None)
        point(axes, one.named, at + 0.12, BLUE, "D", "flagged as this type" if at == 0 else None, hollow=True)
        names.append(f"{name}\n({one.detected.of})")
    point(axes, d.false_positive_rate, len(names), ORANGE, "o", "false alarms")
    axes.set_title("Share of notes flagged, by type", loc="left", fontsize=11)
    axes.set_xlim(-0.04, 1.04)
    rows(axes, [*names, f"clean\n({d.false_positive_rate.of})"])
    legend(axes, 3, 0.08)
