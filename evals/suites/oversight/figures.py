"""Figures of judged audits, and differences between two policies on the same trials; 95 % bootstrap over trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy

from common.records import Record
from common.statistics import Array, Interval, ratios, sign_flips
from envs.oversight.trial import TYPES
from evals.suites.oversight.audits import RIGHT, UNDECIDED, Case, Confusion

ALL = "all"
COMPARED = ("skill", "audit", "found", "false_alarms")
"""The measures of which differences are given. What they count depends on the trial alone."""
_Counts = Callable[[Case], float]


def _once(case: Case) -> float:
    return 1


MEASURES: Mapping[str, tuple[_Counts, _Counts]] = {
    "skill": (lambda c: c.skill, _once),
    "audit": (lambda c: c.audit, _once),
    "found": (lambda c: c.found, lambda c: c.errors),
    "typed": (lambda c: c.typed, lambda c: c.errors),
    "evidence": (lambda c: c.proved, lambda c: c.errors),
    "false_alarms": (lambda c: c.false_alarms, lambda c: c.right),
    "approved": (lambda c: c.confusion.get(RIGHT, {}).get(RIGHT, 0), lambda c: c.right),
    "decided": (lambda c: c.proposals - c.said().get(UNDECIDED, 0), lambda c: c.proposals),
    "bias": (lambda c: bool(c.bias), lambda c: c.bias is not None),
    "turns": (lambda c: c.turns, _once),
    "tokens": (lambda c: c.tokens, lambda c: c.tokens > 0),
    "invalid": (lambda c: c.invalid, lambda c: c.turns),
    "truncated": (lambda c: c.cut, _once),
}
"""Name: what is counted, and of how much; a figure is the sum of the first over trials by the sum of the second."""


class Figures(Record):
    """A policy on some trials. Counts are of proposals; `reasons` of the audits' ends; `measures` as in MEASURES."""

    trials: int
    proposals: int
    errors: int
    found: int
    missed: int
    false_alarms: int
    approvals: int
    undecided: int
    confusion: Confusion
    reasons: dict[str, int]
    measures: dict[str, Interval]


class Difference(Record):
    """A measure of two policies on the same trials: `gap` is `this` - `other`, p of a paired sign-flip test."""

    this: float
    other: float
    gap: Interval
    p: float


def figures(cases: Sequence[Case]) -> Figures:
    """Over at least one judged audit."""
    total = added(cases)
    said = Counter[str]()
    for row in total.values():
        said.update(row)
    errors, found = sum(case.errors for case in cases), sum(case.found for case in cases)
    tops, counts = zip(*MEASURES.values(), strict=True)
    return Figures(
        trials=len(cases),
        proposals=said.total(),
        errors=errors,
        found=found,
        missed=errors - found,
        false_alarms=sum(case.false_alarms for case in cases),
        approvals=said[RIGHT],
        undecided=said[UNDECIDED],
        confusion=total,
        reasons=dict(sorted(Counter(str(case.reason) for case in cases).items())),
        measures=dict(zip(MEASURES, ratios(_table(cases, tops), _table(cases, counts)), strict=True)),
    )


def added(cases: Sequence[Case]) -> Confusion:
    """The confusions of all, rows in the order of the types."""
    total: Confusion = {}
    for true in (*TYPES, RIGHT):
        row = sum((Counter(case.confusion.get(true, {})) for case in cases), Counter[str]())
        if row:
            total[true] = dict(sorted(row.items()))
    return total


def differences(these: Sequence[Case], others: Sequence[Case]) -> dict[str, Difference]:
    """Of each of COMPARED, on the same trials in the same order."""
    assert [case.trial for case in these] == [case.trial for case in others]
    return {name: _difference(these, others, *MEASURES[name]) for name in COMPARED}


def _difference(these: Sequence[Case], others: Sequence[Case], top: _Counts, count: _Counts) -> Difference:
    this_U1, other_U1, counts_U1 = _table(these, [top]), _table(others, [top]), _table(these, [count])
    (gap,) = ratios(this_U1 - other_U1, counts_U1)
    total = counts_U1.sum()
    return Difference(
        this=float(this_U1.sum() / total),
        other=float(other_U1.sum() / total),
        gap=gap,
        p=sign_flips([float(one) for one in (this_U1 - other_U1)[:, 0]]),
    )


def _table(cases: Sequence[Case], columns: Sequence[_Counts]) -> Array:
    return numpy.array([[float(column(case)) for column in columns] for case in cases])
