"""Environment variables of a bench that measures an actor's work: some are read only when a process starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def run_with(variables: Mapping[str, str], module: str) -> None:
    """Start this program, `python -m module`, again unless it has these environment variables."""
    if any(os.environ.get(name) != value for name, value in variables.items()):
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], {**os.environ, **variables})
