"""`medserl ask` of a run, on a fake model."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import ask
from tests.evals.clients import FakeClient


def said(capsys: pytest.CaptureFixture[str], run: Path, client: FakeClient, *flags: str) -> tuple[int, str, str]:
    """Exit code, output and errors."""
    code = ask.main([str(run), *flags], client)
    captured = capsys.readouterr()
    return code, captured.out, captured.err
