"""Command lines that are refused."""

from __future__ import annotations

import pytest

from common.command_line import BAD_INPUT
from deploy import cli


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a refused command line."""
    with pytest.raises(SystemExit) as caught:
        cli.parse(list(arguments))
    assert caught.value.code == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith("selfplay: ") and error.count("\n") == 1
    return error.removeprefix("selfplay: ").rstrip()
