"""The script `medserl` runs the tree around the working directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import medserl

ROOT = Path(__file__).parents[1]


def checkout(folder: Path, answer: str) -> Path:
    """As much of a tree as the script looks for."""
    (folder / "deploy").mkdir(parents=True)
    (folder / "deploy" / "__main__.py").write_text(f"def main():\n    print({answer!r})\n    return 3\n")
    return folder


def ran(folder: Path) -> tuple[int, str]:
    ended = subprocess.run([sys.executable, ROOT / "medserl.py"], cwd=folder, capture_output=True, text=True)
    return ended.returncode, ended.stdout.strip()


def test_a_second_checkout_runs_its_own_code_from_any_folder_of_it(tmp_path: Path) -> None:
    inside = checkout(tmp_path / "copy", "the copy") / "docs" / "deep"
    inside.mkdir(parents=True)
    assert medserl.tree(inside) == tmp_path / "copy"
    code = "import sys, medserl; sys.exit(medserl.main())"
    variables = {"PYTHONPATH": str(ROOT)}
    installed = subprocess.run([sys.executable, "-c", code], cwd=inside, env=variables, capture_output=True)
    assert (installed.returncode, installed.stdout) == (3, b"the copy\n")


def test_outside_of_any_checkout_it_runs_the_tree_that_it_was_installed_from(tmp_path: Path) -> None:
    assert medserl.tree(tmp_path) == ROOT
    code, out = ran(tmp_path)
    assert code == 0 and "selfplay" in out
