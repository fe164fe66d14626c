"""The plot of a result: skill by tier beside policies that do not read, and what was said of which proposals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from envs.contract.page_view import words
from envs.oversight.trial import TYPES
from evals.core import figures
from evals.core.figures import BLUE, GREEN, GREY, INK, ORANGE, legend, point, rows
from evals.core.policies import NULL, ORACLE, RANDOM
from evals.suites.oversight.audits import RIGHT, UNDECIDED
from evals.suites.oversight.figures import ALL, Figures
from evals.suites.oversight.policies import HEURISTIC
from evals.suites.oversight.result import Result
from evals.suites.oversight.trials import HELDOUT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {NULL: "v", RANDOM: "x", HEURISTIC: "^", "flag all as invalid_age": "s", "approve all": "D"}


def draw(result: Result, path: Path) -> None:
    """Draw `report.png`, of the held-out trials."""
    figure = figures.blank(11.5, 4.8)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _skills(left, result)
    whole = result.group(HELDOUT)
    _confusion(right, whole.system or whole.baselines[ORACLE], ORACLE if whole.system is None else result.system)
    figures.save(figure, f"{result.suite.capitalize()}: {result.system}", path)


def _skills(axes: Axes, result: Result) -> None:
    tiers = (*result.tiers, ALL)
    others = {one.tier: one.differences["skill"].other for one in result.against if one.part == HELDOUT}
    for at, tier in enumerate(tiers):
        group = result.group(HELDOUT, tier)
        first = at == 0
        for name, mark in MARKS.items():
            if name == result.system:
                continue
            value = group.baselines[name].measures["skill"].value
            assert value is not None
            axes.plot(value, at + 0.2, mark, color=GREY, mfc="none", markersize=6, label=name if first else None)
        point(axes, group.baselines[ORACLE].measures["skill"], at, GREEN, "*", ORACLE if first else None)
        if tier in others:
            axes.plot(others[tier], at, "o", color=ORANGE, markersize=6, label=result.other if first else None)
        if group.system is not None:
            point(axes, group.system.measures["skill"], at - 0.15, BLUE, "o", result.system if first else None)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_title("Skill, 95 % intervals", loc="left", fontsize=11)
    axes.set_xlim(-1.04, 1.04)
    rows(axes, [f"{tier}\n({result.group(HELDOUT, tier).trials})" for tier in tiers])
    legend(axes, 3, 0.08)


def _confusion(axes: Axes, one: Figures, name: str) -> None:
    """Shares of each row."""
    said = (*TYPES, RIGHT, UNDECIDED)
    counts = [[row.get(column, 0) for column in said] for row in one.confusion.values()]
    shares = [[count / sum(row) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for at, row in enumerate(counts):
        for place, count in enumerate(row):
            dark = shares[at][place] > 0.6
            axes.text(place, at, str(count), ha="center", va="center", fontsize=8, color="white" if dark else INK)
    axes.set_yticks(range(len(counts)), [_short(true, "right") for true in one.confusion], fontsize=8)
    axes.set_xticks(range(len(said)), [_short(column, "approved") for column in said], fontsize=7)
    axes.set_title(f"What is true (rows), and what {name} said", loc="left", fontsize=11)


def _short(name: str, right: str) -> str:
    return right if name == RIGHT else words(name).replace(" ", "\n")
