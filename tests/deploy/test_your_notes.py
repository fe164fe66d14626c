"""docs/your-notes.md, as somebody who follows it with sixty notes of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from deploy.__main__ import main
from envs.verdict.data.medec import load_notes
from tests.deploy.doc_commands import ROOT, arguments, commands_of
from tests.envs.verdict.own_notes import COUNT, own_notes, write_csv, write_folder

PAGE = "your-notes.md"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Their folder, with what the page calls notes.csv, notes/ and errors.jsonl."""
    write_csv(tmp_path / "notes.csv", own_notes())
    write_folder(tmp_path / "notes", own_notes())
    (tmp_path / "errors.jsonl").write_text(pair_of_the_page() + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pair_of_the_page() -> str:
    (line,) = re.findall(r"^\{.*\}$", (ROOT / "docs" / PAGE).read_text(), re.MULTILINE)
    assert set(json.loads(line)) >= {"incorrect_note", "corrected_sentence"}
    return str(line)


@pytest.mark.parametrize("command", commands_of(PAGE))
def test_every_command_of_the_page_works(home: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    given = arguments(command)
    if given[0] == "selfplay":
        given += ["--runs", str(home / "runs"), *([] if "--dry-run" in given else ["--dry-run"])]
    assert main(given) == 0
    assert str(COUNT) in capsys.readouterr().out


def test_the_page_shows_the_check_both_ways_to_train_and_all_sources_of_phrases() -> None:
    assert len(commands_of(PAGE)) == 7


def test_the_smallest_file_of_the_page_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / PAGE).read_text()
    (rows,) = re.findall(r"^```\n(id,text\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    file = tmp_path / "notes.csv"
    file.write_text(rows)
    assert len(load_notes(file)) == 2
    main(["data", "check", str(file)])
    assert "2 of 2 rows can be used" in capsys.readouterr().out
