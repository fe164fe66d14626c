"""The plot of a result: reward by domain beside policies without a model, and what the episodes came to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from envs.contract.page_view import words
from evals.core import figures
from evals.core.figures import BLUE, GREEN, GREY, LIGHT, ORANGE, RED, legend, point, rows
from evals.core.policies import NULL, ORACLE, RANDOM
from evals.suites.clinic.cases import OUTCOMES
from evals.suites.clinic.result import Figures, Group, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = dict(zip(OUTCOMES, (GREEN, BLUE, ORANGE, RED, LIGHT), strict=True))


def draw(result: Result, path: Path) -> None:
    """Draw `report.png`."""
    figure = figures.blank(11.5, 1.8 + 0.75 * len(result.groups))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _rewards(left, result)
    _outcomes(right, result)
    figures.save(figure, f"{result.suite.capitalize()}: {result.system}", path)


def _rewards(axes: Axes, result: Result) -> None:
    others = {(one.tier, one.domain): one.differences["reward"].other for one in result.against}
    for at, group in enumerate(result.groups):
        first = at == 0
        for name, mark, label in ((RANDOM, "x", RANDOM), (_best(group), "^", "best policy that does not read")):
            value = group.baselines[name].measures["reward"].value
            assert value is not None
            axes.plot(value, at + 0.2, mark, color=GREY, mfc="none", markersize=6, label=label if first else None)
        point(axes, group.baselines[ORACLE].measures["reward"], at, GREEN, "*", ORACLE if first else None)
        if (group.tier, group.domain) in others:
            there = others[group.tier, group.domain]
            axes.plot(there, at, "o", color=ORANGE, markersize=6, label=result.other if first else None)
        if group.system is not None:
            point(axes, group.system.measures["reward"], at - 0.15, BLUE, "o", result.system if first else None)
    axes.set_title("Reward, 95 % intervals", loc="left", fontsize=11)
    axes.set_xlim(-0.02, 1.04)
    rows(axes, [_named(result, group) for group in result.groups])
    legend(axes, 4)


def _outcomes(axes: Axes, result: Result) -> None:
    """Shares of the episodes of the system; without one, of the best policy that does not read."""
    name = "the best policy that does not read" if result.groups[0].system is None else result.system
    for at, group in enumerate(result.groups):
        counts = _shown(group).outcomes
        left = 0.0
        for outcome, colour in COLOURS.items():
            share = counts[outcome] / group.cases
            label = words(outcome) if at == 0 else None
            axes.barh(at, share, left=left, color=colour, height=0.55, label=label)
            left += share
    axes.set_title(f"What the episodes of {name} came to", loc="left", fontsize=11)
    axes.set_xlim(0, 1)
    rows(axes, ["" for _ in result.groups])
    legend(axes, len(COLOURS))


def _shown(group: Group) -> Figures:
    return group.system or group.baselines[_best(group)]


def _best(group: Group) -> str:
    """The blind policy with the highest reward."""
    names = [name for name in group.baselines if name not in (ORACLE, NULL)]
    return max(names, key=lambda name: group.baselines[name].measures["reward"].value or 0.0)


def _named(result: Result, group: Group) -> str:
    tier = "" if len(result.tiers) == 1 else f", {group.tier}"
    return f"{words(group.domain)}{tier}\n({group.cases})"
