from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

import pytest

from common.command_line import BAD_INPUT
from deploy import stop
from deploy.job.run_folder import RunFolder
from deploy.job.run_state import is_running
from tests.deploy.job.test_run_folder import log, made


def test_a_run_is_running_as_long_as_its_folder_is_locked(tmp_path: Path) -> None:
    folder = made(tmp_path, 1)
    assert is_running(folder.path)
    folder._lock.close()  # as the end of its process does
    assert not is_running(folder.path)
    assert not is_running(tmp_path)


def test_stop_asks_waits_for_the_end_and_says_how_to_continue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path, 1)

    def run() -> None:
        while not folder.asked_to_stop():
            time.sleep(0.01)
        log(folder, 2)
        folder._lock.close()

    running = threading.Thread(target=run)
    running.start()
    assert stop.main([str(folder.path)]) == 0
    running.join()
    steps = folder.spec.steps
    resume = f"continue with: python -m deploy.selfplay {folder.path / 'spec.yaml'} --resume\n"
    assert capsys.readouterr().out.endswith(f"{folder.path}: 2 of {steps} steps are done; {resume}")


def test_where_nothing_runs_one_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made(tmp_path, 3)
    folder._lock.close()
    for path, line in (
        (folder.path, "the run is not running; "),
        (tmp_path, "no run there (a folder with spec.yaml)"),
    ):
        assert stop.main([str(path)]) == BAD_INPUT
        captured = capsys.readouterr()
        assert line in captured.err and captured.err.count("\n") == 1 and not captured.out
    assert not (folder.path / "stop").exists()


def test_a_run_that_made_all_its_steps_needs_more_of_them(tmp_path: Path) -> None:
    folder = made(tmp_path, 3)
    three = folder.spec.model_copy(update={"steps": 3})
    assert stop.stopped(folder.path, three).endswith("--resume --steps 6")


def test_word_left_for_a_run_that_ended_first_does_not_stop_the_one_that_resumes_it(tmp_path: Path) -> None:
    before = made(tmp_path, 1)
    before.ask_to_stop()
    before._lock.close()
    folder = RunFolder(before.spec, before.path)
    folder.lock()
    assert not folder.asked_to_stop()


def test_a_folder_that_is_not_writable_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path, 1)

    def refuse(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    assert stop.main([str(folder.path)]) == BAD_INPUT
    said = capsys.readouterr().err
    assert said.endswith(": cannot write the stop file (Permission denied): run as the user who started the job\n")
