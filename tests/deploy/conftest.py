"""Fixtures of the tests of runs and commands."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from common.config import RunSpec
from deploy.job.run_folder import RunFolder
from tests.deploy.command_line import said
from tests.deploy.job.test_run_folder import log


@pytest.fixture
def drawn() -> None:
    """A test that asks for this gets real pictures."""


@pytest.fixture(autouse=True)
def pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty files in place of pictures: everything is put on the canvas, and nothing is drawn, which takes seconds."""

    def blank(_: Figure, out: Path | BytesIO, **__: Any) -> None:
        if isinstance(out, Path):
            out.touch()

    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(Figure, "savefig", blank)


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    """A spec with a few fields."""
    path = tmp_path / "run.yaml"
    path.write_text("name: mine\nsteps: 3\nlearner: {learning_rate: 0.5, batch_groups: 2}\n")
    return path


@pytest.fixture
def said_with(
    spec_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], str]:
    """The one line that refuses the spec file with an environment variable."""

    def refused(name: str, value: str) -> str:
        monkeypatch.setenv(name, value)
        return said(capsys, str(spec_file))

    return refused


@pytest.fixture
def smoke_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with runs/smoke in it."""
    folder = RunFolder(RunSpec(name="smoke"), tmp_path / "runs" / "smoke")
    folder.create()
    log(folder, 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path
