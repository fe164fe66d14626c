"""docs/operations.md: its commands, and the files that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy import commands
from deploy.__main__ import main
from deploy.job import run_state
from deploy.report import machine, run_log
from tests.deploy.doc_commands import ROOT, arguments, commands_of

PAGE = "operations.md"
TEXT = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")
STARTS = ("selfplay", "stop")
"""What would start a run, or needs one that runs: only read here."""


@pytest.mark.parametrize("command", dict.fromkeys(commands_of(PAGE)))
def test_every_command_of_the_page_works(smoke_home: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    given = arguments(command)
    if given[0] in STARTS and "--dry-run" not in given:
        assert commands.parse(given[0], f"medserl {given[0]}", given[1:])
        return
    assert main(given) == 0
    assert capsys.readouterr().out


def test_the_files_of_the_page_are_those_of_a_run() -> None:
    named = set(re.findall(r"^\| `([\w.]+)`(?:, `([\w.]+)`)? \|", TEXT.partition("## Logs")[2], re.MULTILINE))
    files = {name for pair in named for name in pair if name}
    assert {run_log.FILE, run_state.FILE, machine.FILE} <= files


def test_every_section_that_the_page_links_to_is_there() -> None:
    def anchor(heading: str) -> str:
        return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

    links = re.findall(r"\]\(#([\w-]+)\)", TEXT)
    assert links and {*links} <= {anchor(heading) for heading in re.findall(r"^## (.*)$", TEXT, re.MULTILINE)}
