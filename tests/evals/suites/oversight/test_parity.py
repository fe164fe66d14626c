"""The rows SA01 to SA35 and their controls, and docs/parity.md, which has their figures."""

from __future__ import annotations

from functools import cache

import pytest

from evals.core.parity import Elsewhere, Row, State, Table
from evals.parity import line
from evals.suites.oversight.parity.parts import DOCUMENT, Parts
from evals.suites.oversight.parity.table import table
from tests.evals.parity_page import cells_of, exists, lines_of

IDS = [f"SA{number:02}" for number in range(1, 36)]
SLOW = ("SA01", "SA10", "SA16", "SA26", "SA35")
"""Rows that start a process, or need more trials than the fast tests make."""
WHOLE = table()
QUICK = [one.row for one in WHOLE.rows if isinstance(one, Row) and one.row not in SLOW]


@cache
def quick() -> Table:
    """Every quick row, on few trials."""
    parts = Parts(trials_a_tier=20, labels=20, document=DOCUMENT.read_text(encoding="utf-8"))
    return Table(parts, [one for one in WHOLE.rows if one.row in QUICK])


def written() -> dict[str, str]:
    return lines_of("SA")


@pytest.mark.parametrize("row", QUICK)
def test_a_row_is_green_and_its_control_turns_it_red_and_no_other(row: str) -> None:
    (found,) = quick().judge([row], controls=True)
    assert found.state == State.GREEN, found.problems
    assert found.turned == (row,)


def test_every_row_is_in_the_command_and_on_the_page() -> None:
    assert [one.row for one in WHOLE.rows] == IDS == list(written())


@pytest.mark.parametrize("one", WHOLE.rows, ids=IDS)
def test_the_page_says_what_the_row_says(one: Row | Elsewhere) -> None:
    cells, wanted = written()[one.row].split(" | "), cells_of(one)
    assert {at: cells[at] for at in wanted} == wanted and len(cells) == 6


@pytest.mark.parametrize("name", sorted({name for one in WHOLE.rows for name in one.shown_by}))
def test_a_test_or_command_that_shows_a_row_exists(name: str) -> None:
    assert exists(name)


@pytest.mark.integration
def test_the_page_has_the_figures_that_the_command_prints() -> None:
    verdicts = list(WHOLE.judge(IDS, controls=True))
    assert all(one.ok for one in verdicts)
    assert list(written().values()) == [line(one) for one in verdicts]
