"""Fixtures of the tests of evaluations."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.records import Record
from evals.suites.clinic import figure as clinic
from evals.suites.medec import figure as medec
from evals.suites.oversight import figure as oversight


@pytest.fixture
def drawn() -> None:
    """A test that asks for this gets real pictures."""


@pytest.fixture(autouse=True)
def pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty files in place of pictures, whose drawing takes most of the time of an evaluation."""

    def blank(result: Record, path: Path) -> None:
        path.touch()

    if "drawn" not in request.fixturenames:
        for module in (clinic, medec, oversight):
            monkeypatch.setattr(module, "draw", blank)
