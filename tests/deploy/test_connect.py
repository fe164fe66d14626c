"""What Ray says when it does not start, for people."""

from __future__ import annotations

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
