from __future__ import annotations

from common.buffer_records import StoredGroup
from common.records import Completion, Group
from envs.contract.report import Band, Measure, Report
from envs.contract.reports import AlarmSpan, alarm_spans, history, measured, score, score_line
from envs.verdict.report import VerdictReport
from simulator.rollouts import labelled, one_turn, rewarded

COMPLETION = Completion(text="", token_ids=(1,), logps=(0.0,), versions=(0,), finish_reason="stop", engine="e")


class Banded(Report):
    measures = (Measure(name="height", help="How high.", band=Band(low=0, high=1, steps=2, remedy="climb down")),)


def group(env: str, *totals: float) -> StoredGroup:
    rollouts = tuple(one_turn(COMPLETION, rewarded(total)) for total in totals)
    made = Group(labelled=labelled(f"task-{env}", env=env), prompt_ids=(1,), rollouts=rollouts, doctor="d")
    return StoredGroup.of(made, made)


def test_each_game_of_a_run_is_measured_over_its_own_tasks() -> None:
    reports = {"one": Report(), "other": Report(), "idle": Report()}
    row = measured(reports, [group("one", 1.0, -1.0), group("other", 1.0), group("other", 0.5)])
    assert row == {"one/solved_share": 0.5, "other/solved_share": 1.0, "idle/solved_share": None}
    assert history("one", reports["one"], [row]) == [{"solved_share": 0.5}]


def test_a_run_of_one_game_is_scored_as_its_game_says() -> None:
    reports = {"verdict": VerdictReport()}
    found = score(reports, [{"verdict/youden_j": 0.5, "verdict/pair_accuracy": 0.25}])
    assert found == (0.5, 0.25) and "Youden's J +0.50" in score_line(reports, (0.5, 0.25))


def test_a_run_of_several_games_is_scored_by_their_mean_once_each_has_a_score() -> None:
    reports = {"one": Report(), "other": Report()}
    assert score(reports, [{"one/solved_share": 0.5, "other/solved_share": None}]) is None
    assert score(reports, [{"one/solved_share": 0.5, "other/solved_share": 1.0}]) == (0.75,)


def test_a_measure_outside_its_band_for_long_enough_is_an_alarm_that_says_what_to_do() -> None:
    high, fine = {"height": 2.0}, {"height": 0.5}
    assert not Banded().alarm([fine, high]) and Banded().alarm([fine, high, high])
    assert Banded().warning([fine, high]) == "" and "climb down" in Banded().warning([fine, high, high])


def test_the_spans_of_an_alarm_pass_over_steps_without_the_game() -> None:
    levels = (0.5, 2.0, None, 2.0, 2.0, 0.5)
    rows = [{"step": step, "game/height": level} for step, level in enumerate(levels, 1)]
    (span,) = alarm_spans("game", Banded(), rows)
    assert (span.first, span.last) == (4, 5) and "climb down" in span.text
    assert isinstance(span, AlarmSpan) and alarm_spans("game", Banded(), rows[:3]) == []


def test_an_alarm_is_told_once_and_again_after_as_many_steps_but_lasts_in_between() -> None:
    high = {"height": 2.0}
    told = [bool(Banded().warning([high] * steps)) for steps in range(1, 6)]
    assert told == [False, True, False, True, False]
    assert [Banded().alarm([high] * steps) for steps in range(1, 4)] == [False, True, True] and not Banded().alarm([])
