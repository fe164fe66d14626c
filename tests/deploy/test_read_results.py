"""docs/read-results.md, on the folder of a run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from common.config import RunSpec
from common.metrics import WEIGHT_STATISTICS
from deploy import commands
from deploy.__main__ import main
from deploy.job.metrics_row import metrics_row
from deploy.job.run_folder import RunFolder
from deploy.report.terminal import columns
from tests.deploy.doc_commands import ROOT, arguments, commands_of
from tests.deploy.job.test_run_folder import log, step
from tests.deploy.reports import REPORTS

PAGE = "read-results.md"
TEXT = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with runs/laptop and runs/laptop-2."""
    folder = RunFolder(RunSpec(name="laptop"), tmp_path / "runs" / "laptop")
    folder.create()
    for number in (1, 2):
        log(folder, number)
    shutil.copytree(folder.path, tmp_path / "runs" / "laptop-2")
    monkeypatch.chdir(tmp_path)

    def ended_at_once(server: ThreadingHTTPServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", ended_at_once)
    return tmp_path


@pytest.mark.parametrize("command", commands_of(PAGE))
def test_every_command_of_the_page_works(home: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    name, *given = arguments(command)
    if name in ("selfplay", "export"):  # one trains, one needs a trained model: tests/deploy/test_export.py
        assert commands.parse(name, f"medserl {name}", given)
        return
    assert main([name, *given]) == 0
    assert "laptop" in capsys.readouterr().out


def test_the_page_explains_every_column_of_the_terminal_and_names_keys_that_a_step_has() -> None:
    (table,) = re.findall(r"^\| column \| in .*?\n\n", TEXT, re.MULTILINE | re.DOTALL)
    cells = [line.split(" | ") for line in table.splitlines()[2:] if line]
    shown, keys = ([name for row in cells for name in re.findall(r"`(.+?)`", row[at])] for at in (0, 1))
    assert set(shown) | {"step"} == {name for name, *_ in columns(REPORTS)}
    assert set(keys) - set(WEIGHT_STATISTICS) <= metrics_row(step(1), REPORTS).keys()


@pytest.mark.integration
@pytest.mark.parametrize("code", re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
def test_the_snippets_open_the_rollouts(home: Path, code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
