from __future__ import annotations

from pathlib import Path

import pytest

from common.config import RunSpec
from deploy.__main__ import main
from deploy.job.run_folder import RunFolder
from tests.deploy.job.test_run_folder import log


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run that nobody finishes, as after a kill; its lock is held, as while it runs."""
    made = RunFolder(RunSpec(name="mine"), tmp_path / "mine")
    made.create()
    return made


def test_picture_and_page_are_made_while_the_run_goes_on(
    folder: RunFolder, drawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    log(folder, 1)
    assert main(["view", str(folder.path)]) == 0
    picture, page = map(Path, capsys.readouterr().out.split())
    assert picture.read_bytes().startswith(b"\x89PNG") and "task-1" in page.read_text()


def test_the_page_is_made_again_with_the_steps_that_came_since(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = list[str]()
    for number in (1, 2):
        log(folder, number)
        assert main(["view", str(folder.path)]) == 0
        pages.append(Path(capsys.readouterr().out.split()[1]).read_text())
    assert pages[0] != pages[1]


def test_without_a_step_or_a_run_it_says_so_in_one_line(
    folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["view", str(folder.path)]) == 2
    assert capsys.readouterr().err == f"view: {folder.path}: no step yet (running); look again after the first one\n"
    assert main(["view", str(tmp_path / "none")]) == 2
    assert "no run there" in capsys.readouterr().err
