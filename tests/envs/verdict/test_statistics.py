from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.statistics import Interval, share, wilson
from envs.verdict.statistics import MERGED, Case, combined, detection, mcnemar, pair_accuracy


def case(vignette: str, is_error: bool, flagged: bool, **more: object) -> Case:
    fields: dict[str, object] = {
        "note_id": f"{vignette}-{is_error}",
        "vignette": vignette,
        "is_error": is_error,
        "flagged": flagged,
        "right": is_error == flagged,
        "error_type": "diagnosis" if is_error else None,
    }
    return Case(**{**fields, **more})  # type: ignore[arg-type]


def twins(name: str, on_error: bool, on_clean: bool) -> list[Case]:
    return [case(name, True, on_error), case(name, False, on_clean)]


FLAGS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12)


def test_the_wilson_interval_agrees_with_a_published_example() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe 1998, table I, method 3


@pytest.mark.parametrize(
    ("right", "count", "lower", "upper"),
    [
        (0, 10, 0.0, 0.2775328),
        (3, 7, 0.158219855, 0.749541635),
        (81, 263, 0.25528852, 0.366209577),
        (1000, 1000, 0.996173242, 1.0),
    ],
)
def test_the_wilson_interval_is_that_of_scipy(right: int, count: int, lower: float, upper: float) -> None:
    """scipy 1.17.1, binomtest(right, count).proportion_ci(0.95, "wilson")."""
    assert wilson(right, count) == pytest.approx((lower, upper), abs=1e-8)


@pytest.mark.parametrize(
    ("only_this", "only_other", "p"),
    [(0, 5, 0.0625), (9, 2, 0.0654296875), (6, 20, 0.009355306625366211), (10, 10, 1), (55, 30, 0.008836205876094518)],
)
def test_mcnemars_p_is_that_of_scipy(only_this: int, only_other: int, p: float) -> None:
    """scipy 1.17.1, binomtest(only_this, only_this + only_other).pvalue."""
    this = {str(at): at < only_this for at in range(only_this + only_other)}
    assert mcnemar(this, {name: not right for name, right in this.items()}).p == pytest.approx(p, rel=1e-12)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_holds_the_share_and_stays_within_bounds(counts: tuple[int, int]) -> None:
    lower, upper = wilson(*counts)
    assert 0 <= lower <= counts[0] / counts[1] + 1e-12
    assert counts[0] / counts[1] - 1e-12 <= upper <= 1


def test_the_share_of_nothing_is_unknown() -> None:
    assert share([]) == Interval(value=None, lower=None, upper=None, of=0)


def test_figures_of_a_known_table() -> None:
    cases = [*twins("a", True, False), *twins("b", True, True), *twins("c", False, False), case("d", True, True)]
    found = detection(cases)
    assert found.flag_accuracy.value == pytest.approx(5 / 7)
    assert found.sensitivity.value == pytest.approx(3 / 4)
    assert found.specificity.value == pytest.approx(2 / 3)
    assert found.false_positive_rate.value == pytest.approx(1 / 3)
    assert found.youden_j.value == pytest.approx(3 / 4 + 2 / 3 - 1)
    assert found.flag_rate.value == pytest.approx(4 / 7)
    assert (found.pair_accuracy.value, found.pair_accuracy.of) == (pytest.approx(1 / 3), 3)


def test_an_invalid_reply_can_be_wrong_without_being_a_false_alarm() -> None:
    found = detection([case("a", False, False, right=False), case("a", True, False)])
    assert found.false_positive_rate.value == 0.0
    assert found.specificity.value == 0.0 and found.youden_j.value == -1.0


@settings(max_examples=30)
@given(FLAGS, st.booleans())
def test_a_constant_flag_has_no_youden_and_no_pair(flags: list[tuple[bool, bool]], constant: bool) -> None:
    cases = [one for at in range(len(flags)) for one in twins(str(at), constant, constant)]
    found = detection(cases)
    assert found.youden_j.value == pytest.approx(0.0) and found.pair_accuracy.value == 0.0


@settings(max_examples=30)
@given(FLAGS)
def test_every_interval_holds_its_figure(flags: list[tuple[bool, bool]]) -> None:
    found = detection([one for at, pair in enumerate(flags) for one in twins(str(at), *pair)])
    for figure in (found.flag_accuracy, found.youden_j, found.pair_accuracy, found.detected_macro):
        assert figure.value is not None and figure.lower is not None and figure.upper is not None
        assert figure.lower - 1e-9 <= figure.value <= figure.upper + 1e-9


def test_without_clean_notes_what_needs_them_is_unknown() -> None:
    found = detection([case("a", True, True)])
    assert found.youden_j.value is None and found.false_positive_rate.value is None
    assert found.pair_accuracy.value is None and found.flag_accuracy.value == 1.0


def test_twins_are_resampled_together() -> None:
    cases = [one for at in range(50) for one in twins(str(at), True, True)]
    flat = combined(cases, [(lambda c: c.right, lambda c: True)])
    assert (flat.lower, flat.value, flat.upper) == (0.5, 0.5, 0.5), "each vignette has one right and one wrong"


def test_macro_figures_weigh_types_equally() -> None:
    many = [case(f"m{at}", True, True, error_type="management", named_type="treatment") for at in range(9)]
    found = detection([*many, case("o", True, False, error_type="causalOrganism")])
    assert found.detected_macro.value == pytest.approx(0.5)
    assert found.types["management"].detected.value == 1.0 and found.types["management"].named.value == 0.0


def test_the_merged_types_take_a_treatment_for_a_management() -> None:
    found = detection(
        [
            case("m", True, True, error_type="management", named_type="treatment"),
            case("d", True, True, error_type="diagnosis", named_type="treatment"),
        ]
    )
    assert found.merged[MERGED].named.value == 1.0 and found.merged["diagnosis"].named.value == 0.0
    assert found.named_macro.value == 0.0 and found.merged_named_macro.value == pytest.approx(0.5)


def test_pairs_need_both_twins() -> None:
    assert pair_accuracy([case("a", True, True), case("b", False, False)]).of == 0


def test_mcnemar_is_the_exact_binomial_on_shared_notes() -> None:
    this = {str(at): at < 9 for at in range(12)} | {"only here": True}
    other = {str(at): at in (8, 9) for at in range(12)}
    found = mcnemar(this, other)
    assert (found.notes, found.both, found.only_this, found.only_other) == (12, 1, 8, 1)
    assert found.p == pytest.approx(2 * (1 + 9) / 2**9)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=600))
def test_mcnemar_is_symmetric_and_a_probability(flags: list[tuple[bool, bool]]) -> None:
    this = {str(at): pair[0] for at, pair in enumerate(flags)}
    other = {str(at): pair[1] for at, pair in enumerate(flags)}
    there, back = mcnemar(this, other), mcnemar(other, this)
    assert there.p == back.p and 0 < there.p <= 1 and math.isfinite(there.p)
