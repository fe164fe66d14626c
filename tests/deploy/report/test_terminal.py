from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from deploy.job.metrics_row import metrics_row
from deploy.report.clock import Spent
from deploy.report.terminal import SPARED, Screen, StepTable, cell, columns, summarise
from learner import checkpoint
from tests.deploy.job.test_run_folder import step
from tests.deploy.reports import REPORTS

SPENT = Spent(seconds={"starting engines": 20.0, "training": 30.0})


def test_a_cell_formats_what_was_measured_and_dashes_what_was_not() -> None:
    row = {"share": 0.25, "none": None, "yes": True, "no": False}
    assert [cell(row, key, "{:.0%}") for key in ("share", "none", "gone", "yes", "no")] == [
        "25%",
        "-",
        "-",
        "yes",
        "NO",
    ]


def test_of_several_games_each_has_one_column_with_its_name() -> None:
    (report,) = REPORTS.values()
    titles = [title for title, *_ in columns({"one": report, "two": report})]
    assert [title for title in titles if title.startswith(("one", "two"))] == ["one accuracy", "two accuracy"]
    assert len(columns(REPORTS)) == len(titles) + 1


def test_every_column_is_in_a_steps_row() -> None:
    row = metrics_row(step(1), REPORTS)
    assert {key for _, key, _ in columns(REPORTS)} <= row.keys()
    assert StepTable("run", [row], REPORTS).within(130).row_count == 1


@given(st.integers(48, 200), st.integers(1, 10_000))
def test_a_terminal_of_any_width_shows_whole_numbers_or_none(width: int, number: int) -> None:
    row = metrics_row(step(number), REPORTS)
    console = Console(width=width, file=io.StringIO())
    console.print(StepTable("run", [row], REPORTS))
    heading, cells = (line.split("  ") for line in console.file.getvalue().splitlines()[1:3])
    shown = [name for name in (one.strip() for one in heading) if name]
    assert shown == [name for name, *_ in columns(REPORTS) if name in shown], "whole headings, in their order"
    assert [text for text in (one.strip() for one in cells) if text] == [
        cell(row, key, form) for name, key, form in columns(REPORTS) if name in shown
    ]
    assert shown[:2] == ["step", "reward"] and (width < 125 or not set(SPARED) - set(shown))


def test_without_a_terminal_each_step_and_each_new_phase_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    phases: list[str] = []
    with Screen("self-play [mine]", 8, REPORTS, phases.append) as screen:
        for _ in range(3):
            screen.phase("training", "1/2 [x]")
        screen.phase("publishing")
        screen.row(metrics_row(step(1), REPORTS))
        screen.notify("engine engines-0 quarantined: prove: [nan]")
    lines = [line.split("  ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["training 1/2 [x]", "publishing"] and phases == ["training"] * 3 + ["publishing"]
    assert lines[2].startswith("step 1/8  reward -0.90") and "ok yes" in lines[2]
    assert lines[2].endswith("  about 28 s left"), "seven more of four seconds"
    assert lines[3] == "engine engines-0 quarantined: prove: [nan]"


def test_the_summary_counts_and_says_where_to_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summarise(
        tmp_path, [metrics_row(step(number), REPORTS) for number in (1, 2)], REPORTS, True, "go on with: x", SPENT
    )
    text = capsys.readouterr().out
    assert "\ntime of this start: 50 s = engines 20 s, steps 30 s\n" in text
    assert "2 steps, 4 completions (0.50/s), 120 tokens sampled (15/s), 2 of 2 syncs ok, largest lag 1" in text
    assert f"{tmp_path / 'model'}" in text and "go on with" not in text


def test_the_summary_names_the_best_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = checkpoint.begin(tmp_path, 4)
    (folder / "rank-0.pt").write_bytes(b"x")
    folder = checkpoint.commit(folder, step=4, policy_version=4, ranks=1, score=(0.25, 0.5)).folder
    summarise(tmp_path, [metrics_row(step(1), REPORTS)], REPORTS, True, "go on with: x", SPENT)
    assert f"{folder} (Youden's J +0.25, pair accuracy 50% in the last batches)" in capsys.readouterr().out


def test_an_unfinished_run_shows_how_to_continue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summarise(tmp_path, [metrics_row(step(1), REPORTS)], REPORTS, False, "go on with: x", SPENT)
    assert "go on with: x" in capsys.readouterr().out
    summarise(tmp_path, [], REPORTS, False, "go on with: x", SPENT)
    spent = "time of this start: 50 s = engines 20 s, steps 30 s"
    nothing = f"No step was finished. go on with: x\n{spent}\n  logs      {tmp_path / 'logs'}\n"
    assert capsys.readouterr().out == nothing
