"""The rows HG of the first half of the clinic: what a public system of clinical tasks claims or does, and this one must
show.

The rows are those of a reading of that system's sources; docs/parity.md has the table with its figures.
"""

from __future__ import annotations

from evals.core.parity import Table
from evals.suites.clinic.parity import domain_rows, elsewhere, guideline_rows, reward_rows
from evals.suites.clinic.parity.parts import Parts

MODULES = (domain_rows, guideline_rows, reward_rows, elsewhere)


def table(parts: Parts | None = None) -> Table:
    """All rows by their ids, on the clinic as it is or on other parts."""
    rows = sorted((row for module in MODULES for row in module.ROWS), key=lambda one: one.row)
    return Table(parts or Parts(), rows)
