"""run.log holds what a run's process prints."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from deploy.job.metrics_row import metrics_row
from deploy.report.run_log import FILE, RunLog
from deploy.report.terminal import Screen
from tests.deploy.job.test_run_folder import step
from tests.deploy.reports import REPORTS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def kept(folder: Path) -> list[str]:
    """The lines after the heading."""
    heading, *lines = (folder / FILE).read_text().splitlines()
    assert heading.startswith("== 20")
    return lines


def test_what_is_printed_is_kept_also_what_was_before_the_folder_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunLog() as log:
        print("early")
        log.into(tmp_path)
        print("later")
        print("an error", file=sys.stderr)
        assert kept(tmp_path) == ["early", "later", "an error"], "at once: the process may be killed"
    print("after")
    assert kept(tmp_path) == ["early", "later", "an error"]
    assert capsys.readouterr() == ("early\nlater\nafter\n", "an error\n")


def test_a_second_start_writes_below_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        with RunLog() as log:
            log.into(tmp_path)
            print("a start")
    assert [line for line in kept(tmp_path) if not line.startswith("== ")] == ["a start", "a start"]


def test_a_traceback_is_kept_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunLog() as log:
        log.into(tmp_path)
        print(1 / 0)
    assert kept(tmp_path)[0].startswith("Traceback") and kept(tmp_path)[-1].startswith("ZeroDivisionError")


def test_without_a_folder_nothing_is_written_and_nothing_breaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunLog() as log:
        log.into(tmp_path / "gone")
        print("said")
    assert not [*tmp_path.iterdir()] and capsys.readouterr().out == "said\n"


def test_beside_a_terminals_table_the_log_has_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with RunLog() as log:
        log.into(tmp_path)
        with Screen("mine", 8, REPORTS) as screen:
            screen.phase("training")
            screen.row(metrics_row(step(1), REPORTS))
            screen.notify("doctor-0 died; starting another")
    training, row, died = kept(tmp_path)
    assert training.endswith("  training") and "step 1/8  reward -0.90" in row
    assert died.endswith("doctor-0 died; starting another") and "\x1b" not in "".join((training, row, died))
    assert "\x1b" in terminal.getvalue() and terminal.getvalue().count("doctor-0 died") == 1
