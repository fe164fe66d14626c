from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.records import Provenance
from envs.verdict.report import VerdictReport

REPORT = VerdictReport()


def rows(*rates: float | None) -> list[dict[str, float | None]]:
    return [{"flag_rate": rate} for rate in rates]


@pytest.mark.parametrize("rates", [(), (0.1, 0.1), (0.1, 0.1, 0.25), (0.75, 0.5, 0.25), (0.9, 0.5, 0.9, 0.9)])
def test_fewer_than_three_steps_in_a_row_outside_the_band_are_no_alarm(rates: tuple[float, ...]) -> None:
    assert REPORT.warning(rows(*rates)) == "" and not REPORT.alarm(rows(*rates))


@pytest.mark.parametrize("rates", [(0.5, 0.2, 0.1, 0.0), (0.9, 0.8, 1.0), (0.1, 0.9, 0.1), (0.2, None, 0.2)])
def test_three_steps_in_a_row_outside_the_band_are_reported(rates: tuple[float | None, ...]) -> None:
    told = REPORT.warning(rows(*rates))
    assert REPORT.alarm(rows(*rates))
    assert "3 in a row outside 25% to 75%" in told and "\n" not in told


def test_an_alarm_without_a_readable_reply_says_so() -> None:
    told = REPORT.warning(rows(None, None, None))
    assert told.startswith("flag rate could not be measured, since no reply was readable, in the last 3 batches")


def test_a_continuing_alarm_is_repeated_every_third_step_and_ends_with_a_rate_inside() -> None:
    low = [0.0] * 6
    assert [bool(REPORT.warning(rows(*low[:count]))) for count in range(1, 7)] == [False, False, True] * 2
    assert REPORT.alarm(rows(*low)) and not REPORT.alarm(rows(*low, 0.5))


@given(st.lists(st.none() | st.floats(0, 1), max_size=12))
def test_the_alarm_looks_at_the_newest_three_steps_only(rates: list[float | None]) -> None:
    assert REPORT.alarm(rows(*rates)) == (len(rates) >= 3 and REPORT.alarm(rows(*rates[-3:])))


def test_rewordings_and_proposed_errors_are_counted_by_stage_and_outcome() -> None:
    rewords = ("reword:model", "reword:rule:age", "noise:typo", "reword:gate:number", "reword:unchanged")
    errors = ("inject:B", "inject:C", "inject:C:json", "inject:C:verifier")
    provenance = Provenance(source="s", vignette="v", kind="synthetic_injection", operators=(*rewords, *errors))
    assert REPORT.proposals(provenance) == [
        *(("rewording", outcome) for outcome in ("model", "rule", "gate:number", "unchanged")),
        *(("error", outcome) for outcome in ("accepted", "json", "verifier")),
    ]
