"""Statistics of a reader over judged notes: shares with intervals, Youden's J, pair accuracy, McNemar's test.

Intervals are 95 %. A share of independent notes or pairs has Wilson's; a figure over notes of which two come from one
vignette is bootstrapped over vignettes, because twins are not independent.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy

from common.records import Record
from common.statistics import Array, Interval, resamples, share

MERGED = "management+treatment+pharmacotherapy"
MERGE = {name: MERGED for name in MERGED.split("+")}
"""These three labels overlap in MEDEC (docs/design.md, section 5): the merged figures count them as one type."""


class Case(Record):
    """One judged note. `right`: the flag is; `flagged`: it said error. `named_type` is None when no type was named.

    `pair` is shared by twins and defaults to the vignette; it differs where a vignette gives several pairs.
    """

    note_id: str
    vignette: str
    is_error: bool
    flagged: bool
    right: bool
    sentence_right: bool = False
    error_type: str | None = None
    named_type: str | None = None
    pair: str | None = None


class TypeFigures(Record):
    """Of the error notes of one type: the share flagged, and the share flagged under that type's name."""

    detected: Interval
    named: Interval


class Detection(Record):
    """Every figure about flags, sentences and types. `sensitivity` + `specificity` - 1 = `youden_j` (Youden 1950).

    The macro figures are unweighted means over the types of `types` (or `merged`) that occur.
    """

    flag_accuracy: Interval
    sentence_accuracy: Interval
    youden_j: Interval
    sensitivity: Interval
    specificity: Interval
    false_positive_rate: Interval
    flag_rate: Interval
    pair_accuracy: Interval
    detected_macro: Interval
    named_macro: Interval
    merged_named_macro: Interval
    types: dict[str, TypeFigures]
    merged: dict[str, TypeFigures]


class McNemar(Record):
    """Two readers on the same notes: how many only one of them had right, and the exact two-sided p."""

    notes: int
    both: int
    only_this: int
    only_other: int
    p: float


Mean = tuple[Callable[[Case], bool], Callable[[Case], bool]]
"""(is it counted as one, does the note belong to the mean)."""


def combined(cases: Sequence[Case], means: Sequence[Mean], weight: float = 1.0, offset: float = 0.0) -> Interval:
    """`offset + weight * (sum of means)` with its percentile interval, vignettes resampled (Efron 1979).

    A mean without a note makes the whole figure None; a resample without one is left out.
    """
    of = sum(any(belongs(case) for _, belongs in means) for case in cases)
    if not means or not all(any(belongs(case) for case in cases) for _, belongs in means):
        return Interval(value=None, lower=None, upper=None, of=0)
    sums_VK = _sums(cases, means)
    value = _figures(sums_VK.sum(0, keepdims=True), weight, offset)[0]
    lower, upper = numpy.nanquantile(_figures(resamples(len(sums_VK)) @ sums_VK, weight, offset), (0.025, 0.975))
    return Interval(value=float(value), lower=float(lower), upper=float(upper), of=of)


def _sums(cases: Sequence[Case], means: Sequence[Mean]) -> Array:
    """[V vignettes, 2K]: numerators of the K means, then their denominators."""
    rows: dict[str, Array] = defaultdict(lambda: numpy.zeros(2 * len(means)))
    for case in cases:
        belongs = [float(within(case)) for _, within in means]
        ones = [within * float(one(case)) for within, (one, _) in zip(belongs, means, strict=True)]
        rows[case.vignette] += [*ones, *belongs]
    return numpy.array(list(rows.values()))


def _figures(sums_RK: Array, weight: float, offset: float) -> Array:
    """[R] figures of [R, 2K] sums; NaN where a mean has no note."""
    ones_RK, counts_RK = numpy.split(sums_RK, 2, axis=1)
    with numpy.errstate(invalid="ignore"):  # 0 / 0 is the NaN
        means_RK: Array = ones_RK / counts_RK
    figures_R: Array = offset + weight * means_RK.sum(axis=1)
    return figures_R


def pair_accuracy(cases: Iterable[Case]) -> Interval:
    """The share of pairs, of those with both an error note and a clean one, whose every flag is right."""
    by_pair: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_pair[case.pair or case.vignette].append(case)
    twins = [pair for pair in by_pair.values() if {case.is_error for case in pair} == {True, False}]
    return share(all(case.right for case in pair) for pair in twins)


def detection(cases: Sequence[Case]) -> Detection:
    """All figures of `Detection` over the judged notes."""
    types = sorted({case.error_type for case in cases if case.error_type is not None})
    merged = sorted({MERGE.get(name, name) for name in types})
    return Detection(
        flag_accuracy=combined(cases, [(_right, _any)]),
        sentence_accuracy=combined(cases, [(lambda c: c.sentence_right, _any)]),
        youden_j=combined(cases, [(_right, _error), (_right, _clean)], offset=-1.0),
        sensitivity=share(c.right for c in cases if c.is_error),
        specificity=share(c.right for c in cases if not c.is_error),
        false_positive_rate=share(c.flagged for c in cases if not c.is_error),
        flag_rate=combined(cases, [(lambda c: c.flagged, _any)]),
        pair_accuracy=pair_accuracy(cases),
        detected_macro=_macro(cases, types, {}, lambda c: c.flagged),
        named_macro=_macro(cases, types, {}, lambda c: c.flagged and c.named_type == c.error_type),
        merged_named_macro=_macro(cases, merged, MERGE, _named_merged),
        types={name: _type(cases, name, {}) for name in types},
        merged={name: _type(cases, name, MERGE) for name in merged},
    )


def mcnemar(this: Mapping[str, bool], other: Mapping[str, bool]) -> McNemar:
    """Exact McNemar test (McNemar 1947; binomial, not the chi-square) on the notes that both readers judged."""
    shared = sorted(this.keys() & other.keys())
    only_this = sum(this[name] and not other[name] for name in shared)
    only_other = sum(other[name] and not this[name] for name in shared)
    return McNemar(
        notes=len(shared),
        both=sum(this[name] and other[name] for name in shared),
        only_this=only_this,
        only_other=only_other,
        p=_binomial(min(only_this, only_other), only_this + only_other),
    )


def _binomial(fewer: int, count: int) -> float:
    """Two-sided p of at most `fewer` heads, or at most as many tails, in `count` throws of a fair coin."""
    tail = sum(math.comb(count, heads) for heads in range(fewer + 1))
    return min(1.0, 2 * float(tail / 2**count))


def _any(case: Case) -> bool:
    return True


def _right(case: Case) -> bool:
    return case.right


def _error(case: Case) -> bool:
    return case.is_error


def _clean(case: Case) -> bool:
    return not case.is_error


def _named_merged(case: Case) -> bool:
    return case.flagged and _merged(case.named_type, MERGE) == _merged(case.error_type, MERGE)


def _merged(name: str | None, merge: Mapping[str, str]) -> str | None:
    return None if name is None else merge.get(name, name)


def _of_type(name: str, merge: Mapping[str, str]) -> Callable[[Case], bool]:
    return lambda case: _merged(case.error_type, merge) == name


def _macro(
    cases: Sequence[Case], types: Sequence[str], merge: Mapping[str, str], one: Callable[[Case], bool]
) -> Interval:
    return combined(cases, [(one, _of_type(name, merge)) for name in types], weight=1 / max(1, len(types)))


def _type(cases: Sequence[Case], name: str, merge: Mapping[str, str]) -> TypeFigures:
    own = [case for case in cases if _merged(case.error_type, merge) == name]
    return TypeFigures(
        detected=share(case.flagged for case in own),
        named=share(case.flagged and _merged(case.named_type, merge) == name for case in own),
    )
