"""Rows and controls of a system of two numbers."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from evals.core.parity import Control, Elsewhere, Found, Row, State, Table, Verdict, demands


class Numbers(NamedTuple):
    small: int = 1
    large: int = 1000


WELL = Numbers()


def small_is_small(small: int) -> Found:
    return Found(f"{small}", demands(below_ten=small < 10))


def in_order(small: int, large: int) -> Found:
    return Found(f"{small} < {large}", demands(in_order=small < large))


def row(name: str, check: object, **corrupted: int) -> Row:
    return Row(name, "says", (), check, Control("a fault", lambda parts: parts._replace(**corrupted)))  # type: ignore[arg-type]


def verdict(*rows: Row | Elsewhere, parts: Numbers = WELL, controls: bool = True) -> Verdict:
    """Of the first of the rows."""
    return next(Table(parts, rows).judge([rows[0].row], controls))


def test_a_control_that_turns_its_row_red_alone_is_right() -> None:
    found = verdict(row("A", small_is_small, small=20), row("B", in_order, large=0))
    assert (found.state, found.figure, found.turned, found.ok) == (State.GREEN, "1", ("A",), True)


def test_a_control_that_its_row_does_not_notice_is_wrong() -> None:
    found = verdict(row("A", small_is_small, small=2), row("B", in_order, large=0))
    assert (found.state, found.turned, found.ok) == (State.GREEN, (), False)


def test_a_control_that_turns_another_row_too_is_wrong_although_only_its_row_was_asked_for() -> None:
    found = verdict(row("A", small_is_small, small=2000), row("B", in_order, large=0))
    assert (found.turned, found.ok) == (("A", "B"), False)


def test_a_part_that_a_row_does_not_look_at_cannot_turn_it() -> None:
    assert verdict(row("A", small_is_small, large=0), row("B", in_order, large=0)).turned == ("B",)


def test_a_row_that_was_red_before_is_not_turned() -> None:
    broken = Numbers(small=20)
    found = verdict(row("A", in_order, large=0), row("B", small_is_small, small=20), parts=broken)
    assert found.turned == ("A",)
    red = verdict(row("B", small_is_small, small=30), parts=broken)
    assert (red.state, red.problems, red.turned, red.ok) == (State.RED, ("below ten",), (), False)


def test_without_controls_a_row_is_judged_by_its_check_alone() -> None:
    found = verdict(row("A", small_is_small, small=2), controls=False)
    assert found.turned is None and found.ok


def test_what_is_shown_elsewhere_is_neither_green_nor_red() -> None:
    found = verdict(Elsewhere("A", "says", ("make openenv",), "needs a server"))
    assert (found.state, found.figure, found.turned, found.ok) == (State.COMMAND, "needs a server", None, True)


def test_a_check_of_a_part_that_does_not_exist_and_a_control_of_nothing_are_mistakes_of_ours() -> None:
    with pytest.raises(AssertionError, match="a part that the system lacks"):
        Table(Numbers(), [row("A", lambda medium: Found(""))])
    with pytest.raises(AssertionError, match="nothing is corrupted"):
        verdict(row("A", small_is_small))
    with pytest.raises(AssertionError, match="one id"):
        Table(Numbers(), [row("A", small_is_small), row("A", in_order)])
