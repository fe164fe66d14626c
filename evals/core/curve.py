"""The held-out curve of a run: `evaluations.jsonl`, one point per line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from common.files import Lines, parsed_lines
from envs.contract.reports import Reports
from evals.core.evaluator import EvalPoint

FILE = "evaluations.jsonl"


def line(point: EvalPoint, reports: Reports) -> str:
    """One evaluation as a line for the terminal."""
    figures = "; ".join(
        f"{env_id}: {report.heldout_line(measures)}" if len(reports) > 1 else report.heldout_line(measures)
        for env_id, report in reports.items()
        if (measures := point.measures.get(env_id))
    )
    return f"held-out, policy_version {point.policy_version}: {figures}, {point.tasks} tasks in {point.seconds:.0f} s"


def points(path: Path) -> Lines[EvalPoint]:
    """The curve so far; empty where there is none. A line that is not a point is left out and named."""
    return parsed_lines(path, msgspec.json.Decoder(EvalPoint).decode)
