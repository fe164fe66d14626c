"""docs/settings.md: its commands, and that its table says what the spec has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from common.config import RunSpec
from deploy import spec_help
from deploy.__main__ import main
from tests.deploy.doc_commands import ROOT, arguments, commands_of

PAGE = "settings.md"
TEXT = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", commands_of(PAGE))
def test_every_command_of_the_page_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments(command)) == 0
    assert "# model.dtype" in (out := capsys.readouterr().out) or "staleness     lag <=" in out


def default_of(name: str) -> object:
    value: object = RunSpec()
    for part in name.split("."):
        value = next(game for game in value if game.id == part) if isinstance(value, tuple) else getattr(value, part)
    return value


def test_the_ten_knobs_have_the_defaults_of_the_code() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| ([\w.-]+) \|", TEXT, re.MULTILINE)
    assert [name for name, _ in rows] == [*spec_help.TEN]
    assert {name: float(shown) for name, shown in rows} == {name: default_of(name) for name, _ in rows}


def test_every_field_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(?:--)?((?:[a-z_]+\.)+[a-z_]+)\b(?! run)", TEXT)) - {"metrics.jsonl"}
    assert len(named) > 10
    for name in named:
        default_of(name)
