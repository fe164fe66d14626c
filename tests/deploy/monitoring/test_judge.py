"""What the games of a run warn of, step by step."""

from __future__ import annotations

import math

from common import metrics
from common.buffer_records import RejectReason
from common.metrics import Board
from common.statistics import Interval
from deploy.monitoring.step_metrics import HELDOUT_FIGURES, count_heldout, expect, judge
from envs.contract.report import Band, Measure, Report
from envs.contract.reports import measure_key
from evals.core.evaluator import EvalPoint


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


def test_a_held_out_value_without_an_interval_has_bounds_that_are_no_number_and_none_keeps_the_last_one() -> None:
    board, reports = Board(), {"one": Report()}
    expect(board, reports)

    def shown(value: float | None, lower: float | None, upper: float | None) -> list[float | None]:
        found = Interval(value=value, lower=lower, upper=upper, of=2)
        measures = {"one": {Report.heldout_drawn: found}}
        count_heldout(board, reports, EvalPoint(policy_version=1, seconds=1, tasks=2, measures=measures, reward_mean=0))
        labels = [{"env": "one", "figure": figure} for figure in HELDOUT_FIGURES]
        return [board.registry.get_sample_value(metrics.HELDOUT.name, one) for one in labels]

    assert shown(0.5, 0.25, 0.75) == [0.5, 0.25, 0.75]
    assert shown(None, None, None) == [0.5, 0.25, 0.75]
    value, *bounds = shown(-0.8, None, None)
    assert value == -0.8 and all(bound is not None and math.isnan(bound) for bound in bounds)
