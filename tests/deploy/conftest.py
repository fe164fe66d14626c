"""Fixtures of the tests of runs and commands."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure


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
