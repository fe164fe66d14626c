"""The example game as somebody else would use it: from a folder outside the tree, or from an installed package."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import medserl as script
from deploy import cli
from envs.conformance import command as check_env
from envs.contract import registry
from envs.contract.spec import read
from envs.verdict.spec import VerdictSettings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "sums"
MOST_LINES = 60
PAGE = (ROOT / "docs" / "your-environment.md").read_text(encoding="utf-8")


def command(elsewhere: Path, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """What `python -m` prints, run in the tree with the folder `elsewhere` on PYTHONPATH."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(elsewhere), "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def medserl(folder: Path, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """What the script `medserl` prints, run in a folder outside the tree."""
    return subprocess.run(
        [sys.executable, ROOT / "medserl.py", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


Typed = Callable[..., tuple[object, str, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Typed]:
    """As `medserl` above, in this process: (exit code, standard output, standard error)."""

    def ran(folder: Path, *arguments: str) -> tuple[object, str, str]:
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "path", list(sys.path))
            patch.setattr(sys, "argv", ["medserl", *arguments])
            try:
                code: object = script.main()
            except SystemExit as ended:
                code = ended.code
        said = capsys.readouterr()
        return code, said.out, said.err

    sys.modules.pop("sums", None)
    importlib.invalidate_caches()
    yield ran
    sys.modules.pop("sums", None)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A copy of the example outside the tree."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "elsewhere"))


@pytest.fixture
def package(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as an installed package that offers its game."""
    info = elsewhere / "sums_game-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sums-game\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\nsums = sums:Sums\n")
    monkeypatch.syspath_prepend(elsewhere)
    monkeypatch.delitem(sys.modules, "sums", raising=False)
    importlib.invalidate_caches()
    return elsewhere


def test_the_example_is_short() -> None:
    assert len((EXAMPLE / "sums.py").read_text().splitlines()) <= MOST_LINES


def test_a_game_outside_the_tree_is_planned_from_its_own_spec(elsewhere: Path, typed: Typed) -> None:
    code, out, err = typed(elsewhere, "selfplay", "sums.yaml", "--dry-run")
    assert (code, err) == (0, "")
    assert "class: sums:Sums" in out and "the game sums" in out


def test_a_game_that_python_does_not_find_is_refused_in_one_line(elsewhere: Path, tmp_path: Path, typed: Typed) -> None:
    code, _, err = typed(tmp_path, "selfplay", str(elsewhere / "sums.yaml"), "--dry-run")
    assert code == 2 and len(err.splitlines()) == 1
    assert "class sums:Sums: no module sums is installed, in the working directory or on PYTHONPATH" in err


@pytest.mark.integration
def test_a_folder_on_the_path_of_python_is_searched_for_a_game(elsewhere: Path) -> None:
    done = command(elsewhere, "envs.conformance.command", "sums:Sums", "--count", "200")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sums: 0 problems, oracle 1.00")


def test_a_game_of_an_installed_package_is_found_by_its_id(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert registry.games()["sums"] == "sums:Sums"
    (settings,) = read("sums")
    assert (settings.id, settings.class_) == ("sums", None)
    assert registry.make(settings, 0).plan(1).kind == "false"
    assert check_env.main(["sums", "--count", "200"]) == 0
    assert capsys.readouterr().out.startswith("sums: 0 problems")
    assert cli.parse(["smoke", "--envs", "sums"]).spec.envs == (settings,)


def test_a_package_cannot_take_the_id_of_a_game_of_ours(package: Path) -> None:
    points = package / "sums_game-1.0.dist-info" / "entry_points.txt"
    points.write_text(f"[{registry.GROUP}]\nverdict = sums:Sums\n")
    with pytest.raises(ValueError, match="sums:Sums: an installed package offers it as verdict, a game of this proj"):
        registry.games()
    assert read("verdict") == (VerdictSettings(),)


def commands_of_the_documentation() -> list[str]:
    """Every command in docs/your-environment.md that ends by itself within seconds."""
    return [
        line
        for line in PAGE.splitlines()
        if line.startswith("medserl ") and ("check-env" in line or "--dry-run" in line)
    ]


@pytest.mark.parametrize("line", commands_of_the_documentation())
def test_the_commands_of_the_documentation_work_from_outside_the_tree(elsewhere: Path, line: str, typed: Typed) -> None:
    code, out, err = typed(elsewhere, *shlex.split(line, comments=True)[1:])
    assert code == 0, err
    assert "check-env" not in line or (out.startswith("sums: 0 problems, oracle 1.00") and f"```\n{out}```" in PAGE)


@pytest.mark.integration
@pytest.mark.parametrize("line", commands_of_the_documentation())
def test_they_work_as_processes_too(elsewhere: Path, line: str) -> None:
    done = medserl(elsewhere, *shlex.split(line, comments=True)[1:])
    assert done.returncode == 0, done.stderr


def test_the_documentation_shows_the_check_a_plan_and_a_mixture() -> None:
    assert len(commands_of_the_documentation()) == 3


def test_the_report_of_the_documentation_draws_chance(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (elsewhere / "judged.py").write_text(code)
    monkeypatch.syspath_prepend(elsewhere)
    (settings,) = read([{"class": "judged:JudgedSums"}])
    report = registry.class_of(settings).report
    assert (report.heldout_chance, report.title) == (0.5, "Sums judged right")


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_a_game_outside_the_tree_is_trained_on(elsewhere: Path, tmp_path: Path) -> None:
    where = ["--runs", str(tmp_path / "runs"), "--model.cache", str(tmp_path / "cache")]
    done = medserl(elsewhere, "selfplay", "sums.yaml", *where, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in (tmp_path / "runs" / "sums" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
