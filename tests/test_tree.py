"""What the documents say of the tree is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.spec_file import spec_file

ROOT = Path(__file__).parents[1]
FOLDERS = ("actors", "bench", "common", "deploy", "docs", "envs", "evals", "examples", "learner", "simulator", "tests")
NAMED = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`")


DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/design.md",
    "docs/operations.md",
    "docs/your-environment.md",
    "docs/doors.md",
    "docs/parity.md",
    "docs/read-results.md",
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_path_that_a_document_names_exists(document: str) -> None:
    named = set(NAMED.findall((ROOT / document).read_text(encoding="utf-8")))
    assert named
    for name in sorted(named):
        assert (ROOT / name).exists() or spec_file(Path(name)).is_file(), name


def _flags(text: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(text)) if ".add_argument(" in text else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            yield node


def test_no_command_reads_a_path_but_by_the_function_that_knows_home_folders() -> None:
    """`type=Path` would take `~` for a folder of that name."""
    read = {"flag_path": 0, "Path": 0}
    for file in (file for folder in FOLDERS if folder != "tests" for file in (ROOT / folder).rglob("*.py")):
        for flag in _flags(file.read_text(encoding="utf-8")):
            for keyword in flag.keywords:
                if keyword.arg == "type" and isinstance(keyword.value, ast.Name) and keyword.value.id in read:
                    read[keyword.value.id] += 1
                    assert keyword.value.id != "Path", f"{file}:{flag.lineno}"
    assert read["flag_path"] > 10, "no flag was looked at"
