"""The page that follows a run, asked as a browser asks it. test_live_browser.py looks at it in one."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.__main__ import main
from deploy.job import run_state
from deploy.job.run_folder import RunFolder
from deploy.job.run_state import RunState
from tests.deploy.job.test_run_folder import log
from tests.deploy.live_world import begun, get, served


def state_at(port: int) -> dict[str, Any]:
    status, kind, body = get(port, "/state.json")
    assert (status, kind) == (200, "application/json")
    found: dict[str, Any] = json.loads(body)
    return found


def release(folder: RunFolder) -> None:
    """Its process ends, as by a kill: nothing else is written."""
    fcntl.flock(folder._lock, fcntl.LOCK_UN)


def test_before_the_first_step_it_says_so_and_has_neither_picture_nor_episodes(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    (folder.logs / "driver.log").write_text(
        "2026-01-31 12:00:00,123 DEBUG run=mine actor=driver task=- deploy.job.run: starting engines\n"
    )
    with served(folder.path) as port:
        found = state_at(port)
        assert (found["run"], found["state"], found["steps"], found["of"]) == ("mine", "running", 0, 4)
        assert found["messages"] == ["12:00:00  starting engines"] and found["rows"] == []
        assert get(port, "/progress.png")[0] == get(port, "/episodes.html")[0] == 404


def test_each_step_is_shown_with_a_new_picture_and_new_episodes_and_nothing_is_written(
    tmp_path: Path, drawn: None
) -> None:
    folder = begun(tmp_path)
    log(folder, 1)
    with served(folder.path) as port:
        first = state_at(port)
        assert first["steps"] == 1 and first["rows"][0][0] == "1" and "left" in first["left"]
        pictures = [get(port, "/progress.png")[2]]
        assert b"task-2" not in get(port, "/episodes.html")[2]
        before = {path.name for path in folder.path.rglob("*")}
        log(folder, 2)
        second = state_at(port)
        assert second["steps"] == 2 and second["stamp"] != first["stamp"]
        pictures.append(get(port, "/progress.png")[2])
        assert b"task-2" in get(port, "/episodes.html")[2]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures) and pictures[0] != pictures[1]
    assert {path.name for path in folder.path.rglob("*")} - before == {"step-00002.parquet"}


def test_a_run_that_was_killed_or_has_failed_says_so_and_how_it_is_continued(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    log(folder, 1)
    with served(folder.path) as port:
        assert state_at(port)["resume"] == ""
        release(folder)
        killed = state_at(port)
        assert killed["state"] == "failed" and killed["left"] == "", "no checkpoint of its newest step"
        assert killed["resume"].endswith(f"selfplay {folder.path}/spec.yaml --resume")
        (folder.path / "checkpoints" / "step-00001").mkdir(parents=True)
        assert state_at(port)["state"] == "stopped"
        run_state.record(folder.path, RunState.FAILED, "the disk is full")
        assert (state_at(port)["state"], state_at(port)["error"]) == ("failed", "the disk is full")
        run_state.record(folder.path, RunState.FINISHED)
        assert state_at(port)["resume"] == ""


def test_steps_that_a_resume_dropped_are_gone_from_the_page(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    for number in (1, 2):
        log(folder, number)
    with served(folder.path) as port:
        assert b"task-2" in get(port, "/episodes.html")[2]
        folder.resume(1)
        assert state_at(port)["steps"] == 1
        assert b"task-2" not in get(port, "/episodes.html")[2]


def test_a_run_that_still_warms_up_is_followed_and_what_is_no_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(begun(tmp_path).spec, tmp_path / "new")
    folder.claim()
    with served(folder.path) as port:
        assert (state_at(port)["state"], state_at(port)["of"]) == ("warming up", None)
        folder.create()
        assert (state_at(port)["state"], state_at(port)["of"]) == ("running", 4)
    assert main(["view", str(tmp_path / "none"), "--live"]) == 2
    assert "no run there" in capsys.readouterr().err


def test_the_page_and_what_it_loads_are_of_this_server_alone(tmp_path: Path) -> None:
    with served(begun(tmp_path).path) as port:
        page = get(port, "/")[2].decode()
        for path in ("/live.js", "/style.css"):
            assert path in page and get(port, path)[0] == 200
        assert "http" not in page
        assert b"name: mine" in get(port, "/spec.yaml")[2]
        assert get(port, "/../pyproject.toml")[0] == get(port, "/applied.json")[0] == 404


def test_a_name_that_somebody_else_gave_this_address_is_refused(tmp_path: Path) -> None:
    with served(begun(tmp_path).path) as port:
        assert get(port, "/state.json", Host=f"evil.example:{port}")[0] == 403
        assert get(port, "/state.json", Host="[")[0] == 404, "no name at all"
        assert get(port, "/state.json", Host=f"localhost:{port}")[0] == 200


def test_a_port_that_is_taken_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = begun(tmp_path)
    with served(folder.path) as port:
        assert main(["view", str(folder.path), "--live", "--port", str(port)]) == 2
    assert capsys.readouterr().err.startswith(f"view: --port {port} cannot be used (")
