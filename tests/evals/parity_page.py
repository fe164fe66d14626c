"""docs/parity.md beside the rows of a suite's table."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from deploy.commands import COMMANDS
from evals.core.parity import Elsewhere, Row

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "parity.md"


def lines_of(prefix: str) -> dict[str, str]:
    """The page's rows of one system, by their ids."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return {text[2:6]: text for text in lines if text.startswith(f"| {prefix}")}


def agrees(line: str, one: Row | Elsewhere) -> None:
    """The page says what the row says."""
    cells = line.split(" | ")
    assert cells[0] == f"| {one.row}" and cells[1] == one.says
    assert cells[-1] == ", ".join(f"`{name}`" for name in one.shown_by) + " |"
    if isinstance(one, Row):
        assert cells[3:5] == ["green", f"{one.control.says}: red alone"]
    else:
        assert cells[2:5] == [one.known, "by command", "-"]


def exists(name: str) -> None:
    """A test or command that shows a row is there."""
    first, *rest = name.split()
    if first == "medserl":
        assert rest[0] in COMMANDS
    elif first == "make":
        assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif first == "python":
        assert importlib.util.find_spec(rest[1]) is not None
    else:
        file, _, test = name.partition("::")
        assert re.search(rf"^(async )?def {test or 'test_'}", (ROOT / file).read_text(), re.MULTILINE)
