"""The held-out curve of a run: `evaluations.jsonl`, one point per line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from common.files import parsed_lines
from evals.core.evaluator import EvalPoint


def line(point: EvalPoint) -> str:
    """One evaluation as a line for the terminal."""
    flag, pairs = point.flag_accuracy, point.pair_accuracy
    return (
        f"held-out, policy_version {point.policy_version}: flag accuracy {flag.value:.2f} "
        f"[{flag.lower:.2f}, {flag.upper:.2f}], both twins "
        f"{'-' if pairs.value is None else format(pairs.value, '.2f')}, {point.notes} notes in {point.seconds:.0f} s"
    )


def points(path: Path) -> list[EvalPoint]:
    """The curve so far; empty where there is none. Raises ValueError, naming the line, if one is not a point."""
    return parsed_lines(path, msgspec.json.Decoder(EvalPoint).decode)
