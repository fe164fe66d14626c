"""What Ray says when it does not start, for people."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private import ray_constants

from deploy.selfplay import connect


@pytest.fixture(autouse=True)
def switch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`connect` turns it for its whole process, which here goes on to tests of clusters. Ray's own note of a cluster,
    which may be left of another run on this machine, is not seen here."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", ray_constants.ENABLE_RAY_CLUSTER)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Exception("The current node timed out during startup."), "Ray did not start (The current node timed out"),
        (ConnectionError("no route"), "does not answer: start it, or unset RAY_ADDRESS"),
    ],
)
def test_ray_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    def init(**_: Any) -> None:
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ValueError) as caught:
        connect()
    assert told in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [KeyError("a bug"), Exception("Cannot include dashboard with missing packages.")])
def test_another_fault_is_not_taken_for_a_busy_machine(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def init(**_: Any) -> None:
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(type(error)) as caught:
        connect()
    assert caught.value is error


@pytest.mark.parametrize("mine", [True, False])
def test_a_run_joins_no_cluster_that_another_user_has_started_here_unless_it_is_named(
    mine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = list[Any]()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(address)
    monkeypatch.setattr(ray, "init", lambda **options: asked.append(options["address"]))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    user = os.geteuid() + (0 if mine else 1)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if mine:
        with pytest.raises(ValueError, match=r"ray_current_cluster names it, .* run `ray stop`"):
            connect()
    else:
        connect()
        assert asked == ["local"]
        port = address.partition(":")[2]
        assert f":{port} is another user's: this run starts its own (RAY_ADDRESS=" in capsys.readouterr().out
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(ValueError, match=r"does not answer .*: start it, or unset RAY_ADDRESS"):
            connect()
