from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.report import clock
from deploy.report.clock import PARTS, Clock, Spent, duration

PHASES = [phase for phases in PARTS.values() for phase in phases]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (41.4, "41 s"), (59.6, "1 min 0 s"), (552, "9 min 12 s"), (10_925, "3 h 2 min")],
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_phases_that_belong_together_are_one_part_of_the_line() -> None:
    spent = Spent(
        seconds={
            "starting": 6,
            "resolving the model": 41,
            "writing demonstrations": 3,
            "warming up": 127,
            "starting engines": 31.3,
            "waiting for a batch": 100,
            "training": 200.2,
            "publishing": 20,
            "evaluating": 12,
            "checkpointing": 4,
            "saving the model": 5,
            "stopping": 0.3,
        }
    )
    assert str(spent) == (
        "9 min 10 s = Python and Ray 6 s, model 41 s, warm-up 2 min 10 s, engines 31 s, steps 5 min 20 s, "
        "evaluation 12 s, saving 9 s"
    )


def test_time_outside_all_phases_is_shown_when_it_is_much() -> None:
    assert str(Spent(seconds={"training": 98, "sleeping": 2})) == "1 min 40 s = steps 1 min 38 s"
    assert str(Spent(seconds={"training": 97, "sleeping": 3})) == "1 min 40 s = steps 1 min 37 s, other 3 s"


@given(st.dictionaries(st.sampled_from([*PHASES, "sleeping"]), st.integers(1, 59), min_size=1))
def test_the_parts_of_the_line_add_up_to_its_total(seconds: dict[str, float]) -> None:
    total, _, parts = str(Spent(seconds=seconds)).partition(" = ")
    told = sum(_seconds(part) for part in parts.split(", "))
    missing = _seconds(total) - told
    assert 0 <= missing <= clock.OTHER_SHARE * _seconds(total)


def _seconds(text: str) -> int:
    words = text.split()
    return sum(int(words[at - 1]) * {"s": 1, "min": 60}[unit] for at, unit in enumerate(words) if unit in ("s", "min"))


def test_time_belongs_to_the_current_phase_and_is_kept_in_the_runs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: now[0])
    watch = Clock()
    assert clock.read(tmp_path) is None
    before = watch.keep(tmp_path).seconds["starting"]
    assert before > 0, "Python's own start counts"
    for phase, seconds in (("training", 2), ("publishing", 1), ("training", 4)):
        watch.enter(phase)
        now[0] += seconds
    spent = watch.keep(tmp_path)
    assert spent.seconds == {"starting": before, "training": 6, "publishing": 1}
    now[0] += 1
    assert watch.keep(tmp_path).seconds["training"] == 7 and clock.read(tmp_path) != spent


def test_the_driver_starts_without_the_learners_libraries() -> None:
    heavy = "[m for m in ('torch', 'transformers', 'deepspeed', 'vllm', 'matplotlib') if m in sys.modules]"
    code = f"import sys, deploy.selfplay; print({heavy})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_seconds_that_have_no_sum_count_as_damage(tmp_path: Path) -> None:
    (tmp_path / clock.FILE).write_text('{"seconds": {"starting": 1e308, "training": 1e308}}')
    assert clock.read(tmp_path) is None
