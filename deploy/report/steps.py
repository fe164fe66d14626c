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
TEXTS = ("skipped",)
COUNTS = ("step", "policy_lag", "completions", "rollout_tokens")


def read_steps(run: Path) -> Lines[Row]:
    """Every logged step of a run's folder, oldest first. Raises ValueError for a file that cannot be opened."""
    return parsed_lines(run / FILE, _row)


def _row(line: bytes) -> Row:
    row = parse_json(line)
    if not isinstance(row, dict):
        raise ValueError("not an object")
    for name in NEEDED:
        if not _is_number(row.get(name)) or (name in COUNTS and not isinstance(row[name], int)):
            raise ValueError(f"{name} is {row.get(name, 'missing')!r:.40}")
    if row["step"] < 1 or row["seconds"] <= 0:
        raise ValueError(f"step {row['step']} took {row['seconds']} s")
    for name, value in row.items():
        if not isinstance(value, str if name in TEXTS else int | float | dict | None):
            raise ValueError(f"{name} is {value!r:.40}")
    return row


def _is_number(value: object) -> bool:
    """A finite one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
