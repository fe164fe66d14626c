"""SA01 to SA35: what the public system for audits claims or does, and this game must show.

The rows are those of a reading of that system's sources; docs/parity.md has the table with its figures.
"""

from __future__ import annotations

from evals.core.parity import Table
from evals.suites.oversight.parity import (
    assistant_rows,
    curriculum_rows,
    elsewhere,
    evaluation_rows,
    generator_rows,
    score_rows,
    tool_rows,
    turn_rows,
)
from evals.suites.oversight.parity.parts import DOCUMENT, Parts

MODULES = (
    assistant_rows,
    curriculum_rows,
    elsewhere,
    evaluation_rows,
    generator_rows,
    score_rows,
    tool_rows,
    turn_rows,
)


def table(parts: Parts | None = None) -> Table:
    """All rows by their ids, on the game as it is or on other parts."""
    rows = sorted((row for module in MODULES for row in module.ROWS), key=lambda one: one.row)
    return Table(parts or Parts(document=DOCUMENT.read_text(encoding="utf-8")), rows)
