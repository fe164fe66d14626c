"""Commands as the documents show them: every line of a fenced block that begins with `medserl` or `make selfplay`."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = ("medserl ", "make selfplay")


def commands_of(document: str) -> list[str]:
    """The commands of a document in docs/, without their remarks; a line that ends with a backslash goes on."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    lines = [line for block in _BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines if line.startswith(SHOWN)]


def arguments(command: str) -> list[str]:
    """What comes after `medserl`; of a call of make, what its recipe would run."""
    words = shlex.split(command)
    if words[0] == "make":
        outer = {"MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "ARGS"}  # of `make test ARGS=...`, which runs this
        done = subprocess.run(
            ["make", "-n", "-o", ".venv/bin/medserl", "--no-print-directory", *words[1:]],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name not in outer},
            capture_output=True,
            text=True,
            check=True,
        )
        words = shlex.split(done.stdout.replace("\\\n", " "))
    return words[1:]
