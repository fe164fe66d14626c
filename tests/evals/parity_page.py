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


def cells_of(one: Row | Elsewhere) -> dict[int, str]:
    """What the page's line of a row has in its cells, by their number: all but what a Row is measured by."""
    shown = ", ".join(f"`{name}`" for name in one.shown_by) + " |"
    if isinstance(one, Row):
        return {0: f"| {one.row}", 1: one.says, 3: "green", 4: f"{one.control.says}: red alone", 5: shown}
    return {0: f"| {one.row}", 1: one.says, 2: one.known, 3: "by command", 4: "-", 5: shown}


def exists(name: str) -> bool:
    """Whether a test or command that shows a row is there."""
    first, *rest = name.split()
    if first == "medserl":
        return rest[0] in COMMANDS
    if first == "make":
        return re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE) is not None
    if first == "python":
        return importlib.util.find_spec(rest[1]) is not None
    file, _, test = name.partition("::")
    return re.search(rf"^(async )?def {test or 'test_'}", (ROOT / file).read_text(), re.MULTILINE) is not None
