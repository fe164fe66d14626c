"""What the documents say of the tree is there."""

from __future__ import annotations

import re
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
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_path_that_a_document_names_exists(document: str) -> None:
    named = set(NAMED.findall((ROOT / document).read_text(encoding="utf-8")))
    assert named
    for name in sorted(named):
        assert (ROOT / name).exists() or spec_file(Path(name)).is_file(), name
