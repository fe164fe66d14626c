from __future__ import annotations

import pytest

from deploy.report import logp_drift


def rows(*values: float | None) -> list[dict[str, float | None]]:
    return [{"fresh_logp_difference": value} for value in values]


def test_a_difference_beyond_the_factor_is_reported_and_one_within_it_is_not() -> None:
    assert logp_drift.warning(rows(0.02, 0.03), "bfloat16", factor=1.5) == ""
    assert "differ by 0.0310 nats per token, tolerated 0.0300 (0.0200 right after loading)" in logp_drift.warning(
        rows(0.02, 0.01, *[0.031] * 4), "bfloat16", factor=1.5
    )


def test_noise_of_one_step_is_averaged_over_four_and_engines_that_differ_by_far_are_reported_at_once() -> None:
    assert logp_drift.warning(rows(0.02, 0.02, 0.02, 0.02, 0.034), "bfloat16", factor=1.5) == ""
    assert "0.0650 nats" in logp_drift.warning(rows(0.02, 0.02, 0.02, 0.02, 0.2), "bfloat16", factor=1.5)


def test_a_small_difference_that_stays_is_reported_within_four_steps() -> None:
    values = [0.02] * 6 + [0.034] * 4
    assert [bool(logp_drift.warning(rows(*values[:end]), "bfloat16", factor=1.5)) for end in range(6, 11)] == [
        False,
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(("dtype", "noise", "fault"), [("bfloat16", 0.009, 0.011), ("float32", 0.0009, 0.0011)])
def test_differences_below_the_floor_of_the_dtype_never_count(dtype: str, noise: float, fault: float) -> None:
    assert logp_drift.warning(rows(0.00001, noise), dtype, factor=1.5) == ""
    assert "fresh rollouts" in logp_drift.warning(rows(0.00001, *[fault] * 4), dtype, factor=1.5)


def test_a_difference_that_is_too_large_from_the_start_is_reported_and_bfloat16_is_named_only_where_it_is_used() -> (
    None
):
    told = {dtype: logp_drift.warning(rows(0.5), dtype, factor=1.5) for dtype in ("bfloat16", "float32")}
    assert "tolerated 0.2000" in told["bfloat16"] and "with model.dtype: float32" in told["bfloat16"]
    assert "tolerated 0.0100" in told["float32"] and "model.dtype" not in told["float32"]


def test_an_unmeasured_step_is_not_judged_by_an_older_one() -> None:
    assert logp_drift.warning(rows(0.01, 0.09, None), "bfloat16", factor=1.5) == ""
    assert logp_drift.warning(rows(None), "bfloat16", factor=1.5) == ""


def test_the_summary_says_first_worst_and_how_often_it_was_measured() -> None:
    told = logp_drift.summary(rows(0.01, None, 0.014, 0.012))
    assert "0.0100 nats per token after loading, at most 0.0140 later, in 3 of 4 steps" in told
    assert logp_drift.summary(rows(None)) == "fresh rollouts: not measured, no engine answered"
