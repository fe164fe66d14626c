"""The rows HG of the clinic and their controls, and docs/parity.md, which has their figures."""

from __future__ import annotations

from functools import cache

import pytest

from evals.core.parity import Elsewhere, Row, State, Table
from evals.parity import line
from evals.suites.clinic.parity.parts import Parts
from evals.suites.clinic.parity.table import table
from tests.evals.parity_page import cells_of, exists, lines_of

SLOW = ("HG03", "HG06", "HG45")
"""Rows that play every release task, or need more tasks than the fast tests make."""
WHOLE = table()
IDS = [one.row for one in WHOLE.rows]
QUICK = [one.row for one in WHOLE.rows if isinstance(one, Row) and one.row not in SLOW]


@cache
def quick() -> Table:
    """Every quick row, on few tasks."""
    return Table(Parts(tasks_a_domain=60, inputs=50), [one for one in WHOLE.rows if one.row in QUICK])


@pytest.mark.parametrize("row", QUICK)
def test_a_row_is_green_and_its_control_turns_it_red_and_no_other(row: str) -> None:
    (found,) = quick().judge([row], controls=True)
    assert found.state == State.GREEN, found.problems
    assert found.turned == (row,)


def test_every_row_is_on_the_page() -> None:
    assert list(lines_of("HG")) == IDS


@pytest.mark.parametrize("one", WHOLE.rows, ids=IDS)
def test_the_page_says_what_the_row_says(one: Row | Elsewhere) -> None:
    cells, wanted = lines_of("HG")[one.row].split(" | "), cells_of(one)
    assert {at: cells[at] for at in wanted} == wanted and len(cells) == 6


@pytest.mark.parametrize("name", sorted({name for one in WHOLE.rows for name in one.shown_by}))
def test_a_test_or_command_that_shows_a_row_exists(name: str) -> None:
    assert exists(name)


@pytest.mark.integration
def test_the_page_has_the_figures_that_the_command_prints() -> None:
    verdicts = list(WHOLE.judge(IDS, controls=True))
    assert all(one.ok for one in verdicts)
    assert list(lines_of("HG").values()) == [line(one) for one in verdicts]
