"""docs/first-run.md: its commands, and that its output is the one of today's code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy import commands
from deploy.__main__ import main
from deploy.report.outlook import announcement
from tests.deploy.doc_commands import ROOT, arguments, commands_of

PAGE = "first-run.md"
TEXT = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", dict.fromkeys(commands_of(PAGE)))
def test_every_command_of_the_page_works(smoke_home: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    given = arguments(command)
    if given[0] == "ask":  # it takes a trained model: tests/deploy/test_ask.py
        assert commands.parse("ask", "medserl ask", given[1:]).run == Path("runs/laptop")
        return
    if given[0] == "selfplay":
        given = [*given, *([] if "--dry-run" in given else ["--dry-run"])]
    assert main(given) == 0
    assert capsys.readouterr().out
    assert "--dry-run" not in given or not (smoke_home / "runs" / "laptop").exists()


def test_the_data_line_of_the_page_is_what_a_dry_run_prints(
    smoke_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = re.findall(r"^# data .*$", TEXT, re.MULTILINE)
    assert main(["selfplay", "smoke", "--dry-run"]) == 0
    assert line in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("text", [TEXT, (ROOT / "README.md").read_text(encoding="utf-8")], ids=[PAGE, "README.md"])
def test_the_announcement_of_the_page_is_that_of_a_run(text: str) -> None:
    (shown,) = re.findall(r"^(run \w+: .*\n  first .*)$", text, re.MULTILINE)
    name, steps = re.search(r"run (\w+): .*steps 1 to (\d+)", shown).groups()  # type: ignore[union-attr]
    changes = {"name": name, "steps": int(steps)}
    spec = commands.parse("selfplay", "medserl selfplay", ["smoke"]).spec.model_copy(update=changes)
    assert announcement(spec, Path("runs"), 1).splitlines()[:2] == shown.splitlines()
