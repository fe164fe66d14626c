"""The rows of both tables and their controls, and docs/parity.md, which has their figures."""

from __future__ import annotations

from functools import cache

import pytest

from evals.core.parity import Elsewhere, Row, State, Table
from evals.parity import line
from evals.suites.clinic.parity import parts as clinic
from evals.suites.clinic.parity import table as clinic_table
from evals.suites.oversight.parity import parts as oversight
from evals.suites.oversight.parity import table as oversight_table
from tests.evals.parity_page import cells_of, exists, lines_of

WHOLE = {"SA": oversight_table.table(), "HG": clinic_table.table()}
ROWS = [one for table in WHOLE.values() for one in table.rows]
SLOW = ("SA01", "SA10", "SA16", "SA26", "SA35", "HG03", "HG06", "HG45")
"""Rows that start a process, play every release task, or need more tasks than the fast tests make."""
QUICK = [one.row for one in ROWS if isinstance(one, Row) and one.row not in SLOW]


@cache
def quick(system: str) -> Table:
    """Every quick row of a system, on few tasks."""
    document = oversight.DOCUMENT.read_text(encoding="utf-8")
    parts = {
        "SA": oversight.Parts(trials_a_tier=20, labels=20, document=document),
        "HG": clinic.Parts(tasks_a_domain=60, inputs=50),
    }
    return Table(parts[system], [one for one in WHOLE[system].rows if one.row in QUICK])


@pytest.mark.parametrize("row", QUICK)
def test_a_row_is_green_and_its_control_turns_it_red_and_no_other(row: str) -> None:
    (found,) = quick(row[:2]).judge([row], controls=True)
    assert found.state == State.GREEN, found.problems
    assert found.turned == (row,)


@pytest.mark.parametrize("system", WHOLE)
def test_every_row_is_on_the_page(system: str) -> None:
    assert list(lines_of(system)) == [one.row for one in WHOLE[system].rows]


def test_no_row_of_the_audits_is_left_out() -> None:
    assert [one.row for one in WHOLE["SA"].rows] == [f"SA{number:02}" for number in range(1, 36)]


@pytest.mark.parametrize("one", ROWS, ids=[one.row for one in ROWS])
def test_the_page_says_what_the_row_says(one: Row | Elsewhere) -> None:
    cells, wanted = lines_of(one.row[:2])[one.row].split(" | "), cells_of(one)
    assert {at: cells[at] for at in wanted} == wanted and len(cells) == 6


@pytest.mark.parametrize("name", sorted({name for one in ROWS for name in one.shown_by}))
def test_a_test_or_command_that_shows_a_row_exists(name: str) -> None:
    assert exists(name)


@pytest.mark.integration
@pytest.mark.parametrize("system", WHOLE)
def test_the_page_has_the_figures_that_the_command_prints(system: str) -> None:
    table = WHOLE[system]
    verdicts = list(table.judge([one.row for one in table.rows], controls=True))
    assert all(one.ok for one in verdicts)
    assert list(lines_of(system).values()) == [line(one) for one in verdicts]
