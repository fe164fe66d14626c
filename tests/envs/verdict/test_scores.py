from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.contract.report import WINDOW, Outcome
from envs.verdict.doctor.reward import Case
from envs.verdict.report import VerdictReport
from envs.verdict.scores import FLAGGED, RIGHT, batch_statistics
from simulator.rollouts import labelled, rewarded

ERROR, CLEAN = "augmented_error", "augmented_safe"
ON_ERROR = ("found", "elsewhere", "missed", "invalid_no_verdict", "truncated")
ON_CLEAN = ("clean", "false_alarm", "invalid_no_verdict", "truncated")


def group(quadrant: str, *reasons: str, vignette: str = "v") -> Outcome:
    rewards = tuple(rewarded(0.0, reason) for reason in reasons)
    return Outcome(
        labelled=labelled(f"{vignette}-{quadrant}", env="verdict", kind=quadrant, vignette=vignette), rewards=rewards
    )


def test_every_reason_of_the_reward_is_counted_as_what_it_is() -> None:
    assert set(Case) >= FLAGGED | RIGHT
    valid = {case for case in Case if batch_statistics([group(ERROR, case)])["valid_share"] == 1}
    assert valid == {"missed", "clean", "false_alarm", "found", "elsewhere"}


def test_shares_are_counted_over_completions() -> None:
    figures = batch_statistics(
        [group(ERROR, "found", "missed", "elsewhere", "truncated"), group(CLEAN, "clean", "false_alarm")]
    )
    assert figures["valid_share"] == pytest.approx(5 / 6)
    assert figures["flag_rate"] == pytest.approx(3 / 5)
    assert figures["accuracy"] == pytest.approx(3 / 6)
    assert figures["youden_j"] == pytest.approx(2 / 4 + 1 / 2 - 1)
    assert figures["pair_accuracy"] == pytest.approx(2 / 4 * 1 / 2)


def test_always_saying_clean_has_no_youden_and_no_pair() -> None:
    figures = batch_statistics([group(ERROR, "missed", "missed"), group(CLEAN, "clean", "clean")])
    assert (figures["accuracy"], figures["flag_rate"]) == (0.5, 0.0)
    assert (figures["youden_j"], figures["pair_accuracy"]) == (0.0, 0.0)


def test_what_cannot_be_counted_is_none() -> None:
    figures = batch_statistics([group(ERROR, "truncated", "invalid_no_verdict")])
    assert figures["flag_rate"] is None and figures["youden_j"] is None and figures["pair_accuracy"] is None
    assert figures["valid_share"] == 0.0 and figures["accuracy"] == 0.0


def test_pairs_are_made_within_a_vignette_only() -> None:
    figures = batch_statistics([group(ERROR, "found", vignette="a"), group(CLEAN, "clean", vignette="b")])
    assert figures["pair_accuracy"] is None and figures["youden_j"] == 1.0


@given(error=st.lists(st.sampled_from(ON_ERROR), min_size=1), clean=st.lists(st.sampled_from(ON_CLEAN), min_size=1))
def test_every_figure_stays_in_its_range(error: list[str], clean: list[str]) -> None:
    figures = batch_statistics([group(ERROR, *error), group(CLEAN, *clean)])
    youden, pair = figures["youden_j"], figures["pair_accuracy"]
    assert youden is not None and -1 <= youden <= 1 and pair is not None
    assert all(0 <= figures[name] <= 1 for name in ("valid_share", "accuracy"))  # type: ignore[operator]
    assert youden <= pair + 1e-9, "(1 - sensitivity) * (1 - specificity) is never negative"


def row(youden: float | None, pairs: float | None = None, **more: float) -> dict[str, float | None]:
    return {"youden_j": youden, "pair_accuracy": pairs, **more}


def test_a_checkpoint_is_scored_by_the_last_batches_in_which_something_was_counted() -> None:
    assert VerdictReport().score([row(0.2, 0.4), row(None, None), row(0.4, None)]) == pytest.approx((0.3, 0.4))
    assert VerdictReport().score([row(-1.0, 0.0), *[row(0.5, 0.5)] * WINDOW]) == (0.5, 0.5)
    assert VerdictReport().score([row(0.5)]) == (0.5, 0.0)
    assert VerdictReport().score([]) is None and VerdictReport().score([row(None, 0.5)]) is None


def test_a_silent_policy_is_the_worse_checkpoint_whatever_it_earns() -> None:
    silent = batch_statistics([group(ERROR, "missed", "missed"), group(CLEAN, "clean", "clean")])
    judging = batch_statistics([group(ERROR, "found", "missed"), group(CLEAN, "clean", "invalid_tags")])
    quiet, judged = VerdictReport().score([silent]), VerdictReport().score([judging])
    assert quiet is not None and judged is not None and quiet < judged
    assert VerdictReport().score([{**silent, "reward_mean": 9.0}]) == VerdictReport().score(
        [{**silent, "reward_mean": -9.0}]
    )
