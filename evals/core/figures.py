"""The style of all figures: palette, grid and frame. matplotlib is imported only when one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from common.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED = "#0b63a5", "#c2570c", "#2e7d4f", "#b3261e"
GREY, LIGHT, INK = "#6b7280", "#e5e7eb", "#111827"
DPI = 130


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches. Not one of pyplot, which keeps it in memory and may look for a screen."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def dress(axes: Axes, grid: Literal["x", "y"]) -> None:
    """Grid lines across the axis of the measured values, behind the data; no frame above and to the right."""
    axes.grid(axis=grid, color=LIGHT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def point(
    axes: Axes, one: Interval, at: float, colour: str, mark: str, label: str | None, hollow: bool = False
) -> None:
    """A figure with its interval, in the row `at`; nothing where nothing was counted."""
    if one.value is None or one.lower is None or one.upper is None:
        return
    reach = [[max(0.0, one.value - one.lower)], [max(0.0, one.upper - one.value)]]
    face = "white" if hollow else colour
    axes.errorbar(one.value, at, xerr=reach, fmt=mark, color=colour, mfc=face, capsize=3, markersize=6, label=label)


def legend(axes: Axes, columns: int, below: float = 0.1) -> None:
    """Under the axis, by this share of its height."""
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -below), ncols=columns)


def save(figure: Figure, title: str, path: Path) -> None:
    """Under its title, as a PNG."""
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    figure.savefig(path, dpi=DPI, format="png")


def rows(axes: Axes, names: Sequence[str]) -> None:
    """A row for each name, the first at the top."""
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    dress(axes, "x")
