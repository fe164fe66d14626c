"""The program's name: messages name other commands in the form in which the user called this one."""

from __future__ import annotations

import shlex
import shutil
import sys
import tomllib
from pathlib import Path

SCRIPT = "medserl"
TREE = Path(__file__).parents[1]


def program() -> str:
    """The part before a subcommand: `medserl` (or its path, as typed), else `python -m deploy`."""
    script = sys.argv[0]
    if Path(script).name != SCRIPT:
        return "python -m deploy"
    return SCRIPT if shutil.which(SCRIPT) == script else shlex.quote(script)


def command(name: str) -> str:
    """How the user can call the command `name`: `medserl stop`, or `python -m deploy.stop`."""
    if Path(sys.argv[0]).name == SCRIPT or Path(sys.argv[0]) == TREE / "deploy" / "__main__.py":
        return f"{program()} {name}"
    return f"python -m deploy.{name}"


def typed(name: str, *arguments: object) -> str:
    """The command with its arguments, as they can be pasted into a shell."""
    return f"{command(name)} {shlex.join(str(argument) for argument in arguments)}"


def version() -> str:
    """The version of the tree that runs, from its pyproject.toml."""
    return str(tomllib.loads((TREE / "pyproject.toml").read_text())["project"]["version"])
