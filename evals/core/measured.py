"""Measures of judged episodes, and differences between two systems on the same tasks; 95 % bootstrap over units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy

from common.records import Record
from common.statistics import Array, Interval, ratios, sign_flips
from evals.core.played import Judged

Case = TypeVar("Case", bound=Judged)
Counts = Callable[[Any], float]
Measures = Mapping[str, tuple[Counts, Counts]]
"""Name: what is counted of an episode, and of how much; a figure is the sum of the first by the sum of the second."""


def once(case: Judged) -> float:
    """Of each episode."""
    return 1


COSTS: Measures = {
    "turns": (lambda c: c.turns, once),
    "tokens": (lambda c: c.tokens, lambda c: c.tokens > 0),
    "invalid": (lambda c: c.invalid, lambda c: c.turns),
    "truncated": (lambda c: c.cut, once),
}
"""What every suite measures."""


class Difference(Record):
    """A measure of two systems on the same tasks: `gap` is `this` - `other`, p of a paired sign-flip test."""

    this: float
    other: float
    gap: Interval
    p: float


class Best(Record):
    """The policy that is best in a measure, and the difference to it."""

    policy: str
    difference: Difference


def measured(cases: Sequence[Judged], measures: Measures) -> dict[str, Interval]:
    """Every measure, over at least one episode."""
    tops, counts = zip(*measures.values(), strict=True)
    return dict(zip(measures, ratios(_table(cases, tops), _table(cases, counts)), strict=True))


def on_same_tasks(these: Sequence[Case], others: Sequence[Case]) -> list[tuple[Case, Case]]:
    """Each with the other system's on the same task, where that has one."""
    there = {(case.trial, case.task_id): case for case in others}
    both = [(case, there.get((case.trial, case.task_id))) for case in these]
    return [(this, other) for this, other in both if other is not None]


def differences(these: Sequence[Judged], others: Sequence[Judged], measures: Measures) -> dict[str, Difference]:
    """Of each measure, on the same tasks in the same order. What a measure is of may not depend on the system."""
    assert [case.trial for case in these] == [case.trial for case in others]
    return {name: _difference(these, others, *measure) for name, measure in measures.items()}


def best_of(these: Sequence[Judged], others: Mapping[str, Sequence[Judged]], measures: Measures) -> dict[str, Best]:
    """By measure, the best of others on the same tasks, each with the difference to it."""
    found = {}
    for name, (top, _) in measures.items():
        best = max(others, key=lambda policy: sum(map(top, others[policy])))
        gap = differences(these, others[best], {name: measures[name]})[name]
        found[name] = Best(policy=best, difference=gap)
    return found


def ends(cases: Sequence[Judged]) -> dict[str, int]:
    """Episodes by what ended them."""
    return dict(sorted(Counter(str(case.reason) for case in cases).items()))


def _difference(these: Sequence[Judged], others: Sequence[Judged], top: Counts, count: Counts) -> Difference:
    this_U1, other_U1, counts_U1 = _table(these, [top]), _table(others, [top]), _table(these, [count])
    (gap,) = ratios(this_U1 - other_U1, counts_U1)
    total = counts_U1.sum()
    return Difference(
        this=float(this_U1.sum() / total),
        other=float(other_U1.sum() / total),
        gap=gap,
        p=sign_flips([float(one) for one in (this_U1 - other_U1)[:, 0]]),
    )


def _table(cases: Sequence[Judged], columns: Sequence[Counts]) -> Array:
    """[U, K]: each column's sum over the episodes of a unit."""
    rows: dict[str, Array] = {}
    for case in cases:
        row = numpy.array([float(column(case)) for column in columns])
        rows[case.unit] = rows[case.unit] + row if case.unit in rows else row
    return numpy.array(list(rows.values()))
