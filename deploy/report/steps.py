"""The steps of a run, from its metrics.jsonl. A damaged line is left out, and named."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from common.files import Lines, parse_json, parsed_lines

Row = dict[str, Any]
FILE = "metrics.jsonl"
NEEDED = ("step", "policy_lag", "seconds", "wait_seconds", "completions", "rollout_tokens", "time")
"""What every line has had since the first version, as numbers."""
TEXTS, TABLES = ("skipped",), ("learner_seconds", "by_turn")
COUNTS = ("step", "policy_lag", "completions", "rollout_tokens")
LARGEST, LARGEST_COUNT = 1e39, 2**53
"""Of a float, beyond what float32 holds, and of a whole number. No run has measured more, and plots of it overflow."""


def read_steps(run: Path) -> Lines[Row]:
    """Every logged step of a run's folder, oldest first. Raises ValueError for a file that cannot be opened."""
    return parsed_lines(run / FILE, _row)


def finite_row(row: Row) -> Row:
    """The same row with null for numbers that are not finite: JSON has none, and no reader could average them."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }


def _row(line: bytes) -> Row:
    row = parse_json(line)
    if not isinstance(row, dict):
        raise ValueError("not an object")
    row = finite_row(row)
    for name, value in row.items():
        if not _fits(name, value):
            raise ValueError(f"{name} is {value!r:.40}")
    for name in NEEDED:
        if type(row.get(name)) not in ((int,) if name in COUNTS else (int, float)):
            raise ValueError(f"{name} is {row.get(name, 'missing')!r:.40}")
    if row["step"] < 1 or row["seconds"] <= 0:
        raise ValueError(f"step {row['step']} took {row['seconds']} s")
    return row


def _fits(name: str, value: object) -> bool:
    if name in TEXTS:
        return isinstance(value, str)
    if name in TABLES:
        return isinstance(value, dict)
    if isinstance(value, int):
        return abs(value) <= LARGEST_COUNT
    return value is None or (isinstance(value, float) and abs(value) <= LARGEST)
