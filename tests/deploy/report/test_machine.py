from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from common.config import RunSpec
from deploy.report import machine, model_card
from tests.envs.verdict.own_notes import own_notes, write_csv

DATA = {"notes.csv": "9f86d081"}


def spec_of(notes: Path) -> RunSpec:
    return RunSpec.model_validate({"envs": [{"id": "verdict", "data": {"path": str(notes)}}]})


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "notes.csv", own_notes(2))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout in the place of this one."""
    made = tmp_path / "tree"
    made.mkdir()
    (made / "code.py").write_text("x = 1\n")
    name = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "code.py"), (*name, "commit", "-qm", "one")):
        subprocess.run(["git", "-C", str(made), *arguments], check=True)
    monkeypatch.setattr(machine, "TREE", made)
    return made


def test_a_start_names_code_packages_data_and_processor(tree: Path) -> None:
    found = machine.here(DATA)
    assert len(found.commit) == 40 and found.changed is False
    assert found.packages["pydantic"] == version("pydantic") and found.cores > 0
    assert found.data == DATA
    assert str(found).startswith(f"MedSeRL {found.version} (commit {found.commit[:12]}); ")


def test_an_edited_file_is_told_and_a_new_one_is_not(tree: Path) -> None:
    (tree / "new.py").write_text("")
    assert machine.here(DATA).changed is False
    (tree / "code.py").write_text("x = 2\n")
    assert machine.here(DATA).changed is True
    assert ", with edited files)" in machine.here(DATA).code


def test_code_that_is_no_checkout_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "TREE", tmp_path)
    found = machine.here(DATA)
    assert (found.commit, found.changed) == ("", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.here(DATA).commit == "", "nor where there is no git"


def test_each_start_is_a_line_of_the_run_and_the_newest_is_in_its_model_card(notes: Path, tmp_path: Path) -> None:
    first, second = machine.here(DATA), machine.here({str(tmp_path / "n.csv"): "5d41"})
    assert machine.starts(tmp_path) == []
    machine.keep(tmp_path, first)
    machine.keep(tmp_path, second)
    assert machine.starts(tmp_path) == [first, second]
    card = model_card.write(spec_of(notes), tmp_path, adapter=False)
    assert f"- Made with {second}\n" in card
    assert "- `n.csv`: sha256 5d41" in card and str(tmp_path) not in card
