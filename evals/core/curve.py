"""The held-out curve of a run: `evaluations.jsonl`, one point per line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from common.files import parsed_lines
from common.statistics import Interval
from envs.contract.reports import Reports
from evals.core.evaluator import EvalPoint


def line(point: EvalPoint, reports: Reports) -> str:
    """One evaluation as a line for the terminal."""
    figures = "; ".join(
        f"{env_id}: {report.heldout_line(measures)}" if len(reports) > 1 else report.heldout_line(measures)
        for env_id, report in reports.items()
        if (measures := of_game(point, env_id))
    )
    return f"held-out, policy_version {point.policy_version}: {figures}, {point.tasks} tasks in {point.seconds:.0f} s"


def of_game(point: EvalPoint, env_id: str) -> dict[str, Interval]:
    """A game's measures; none where it was not played. Earlier versions did not say whose they were."""
    return point.measures.get(env_id) or point.measures.get("", {})


def points(path: Path) -> list[EvalPoint]:
    """The curve so far; empty where there is none. Raises ValueError, naming the line, if one is not a point."""
    return parsed_lines(path, _read)


def _read(line: bytes) -> EvalPoint:
    """Earlier versions kept the measures of their one game among the other fields."""
    point: dict[str, Any] = msgspec.json.decode(line)
    if "measures" not in point:
        measures = {name: value for name, value in point.items() if isinstance(value, dict)}
        point |= {"measures": {"": measures}, "tasks": max((one["of"] for one in measures.values()), default=0)}
    return msgspec.convert(point, EvalPoint)
