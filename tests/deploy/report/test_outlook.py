from __future__ import annotations

from pathlib import Path

from common.config import RunSpec
from deploy.report.outlook import announcement, time_left


def rows(*seconds: float) -> list[dict[str, float]]:
    return [{"step": number, "seconds": one} for number, one in enumerate(seconds, 1)]


def test_the_time_left_is_that_of_the_median_of_the_newest_steps() -> None:
    assert time_left(rows(100.0, *[10.0] * 8), 15) == "about 1 min 0 s left"
    assert time_left(rows(20.0), 4) == "about 1 min 0 s left"


def test_nothing_is_said_before_a_step_was_measured_and_after_the_last() -> None:
    assert time_left([], 4) == "" == time_left(rows(1.0, 1.0), 2)


def test_a_run_says_what_it_will_do_where_and_how_to_watch_and_stop_it() -> None:
    spec = RunSpec.model_validate({"name": "mine", "steps": 4, "model": {"source": "tiny"}, "warm_up": {"steps": 20}})
    said = announcement(spec, Path("runs/mine"), 1).splitlines()
    assert said[0] == (
        "run mine: 20 warm-up steps, then steps 1 to 4, each of 4 tasks x 8 replies; game verdict, model tiny on cpu"
    )
    assert [line.split()[0] for line in said[2:]] == ["folder", "watch", "stop"]
    assert "warm-up" not in announcement(spec, Path("runs/mine"), 3) and "steps 3 to 4" in announcement(
        spec, Path("runs/mine"), 3
    )
