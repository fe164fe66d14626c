"""What the games of a run warn of, step by step."""

from __future__ import annotations

from common import metrics
from common.buffer_records import RejectReason
from common.metrics import Board
from deploy.monitoring.step_metrics import expect, judge
from envs.contract.report import Band, Measure, Report
from envs.contract.reports import measure_key


class Banded(Report):
    """Warns when nothing was solved in two batches in a row."""

    measures = (Measure(name="solved", help="", band=Band(low=0.5, high=1, steps=2, remedy="try again")),)


def rows(*solved: float | None) -> list[dict[str, float | None]]:
    """One line per batch of two games, the second of which is always well."""
    return [{measure_key("one", "solved"): value, measure_key("two", "solved"): 1.0} for value in solved]


def test_a_batch_without_a_task_of_a_game_counts_neither_for_nor_against_it() -> None:
    reports = {"one": Banded(), "two": Banded()}
    assert judge(Board(), reports, rows(0.0, None)) == []
    assert judge(Board(), reports, rows(None, None, None)) == []
    (warning,) = judge(Board(), reports, rows(0.0, None, 0.0))
    assert warning.startswith("one: solved 0%, 0% in the last 2 batches") and warning.endswith("try again")
    assert judge(Board(), reports, rows(0.0, 0.0, None)) == []


def test_the_only_game_of_a_run_is_not_named() -> None:
    (warning,) = judge(Board(), {"one": Banded()}, rows(0.0, 0.0))
    assert warning.startswith("solved 0%")


def test_the_reasons_of_machinery_and_game_can_be_seen_before_anything_is_rejected() -> None:
    class Picky(Report):
        rejections = ("too_dull",)

    board = Board()
    expect(board, {"one": Picky()})
    for reason in (*RejectReason, "too_dull"):
        assert board.registry.get_sample_value(metrics.REJECTED.name, {"reason": reason}) == 0
