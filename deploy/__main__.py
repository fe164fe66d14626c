"""The one command: `medserl COMMAND ...`, or `python -m deploy COMMAND ...`."""

from __future__ import annotations

import importlib
import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path

from common.command_line import alike, fail, meant
from deploy.commands import COMMANDS, parse
from deploy.program import SCRIPT, TREE, program, version

SPECS = TREE / "deploy" / "specs"
TOP = tuple(name for name in COMMANDS if " " not in name)


def overview(called: str) -> str:
    """The list of commands, for `--help`."""
    width = max(map(len, TOP))
    listed = "\n".join(f"  {name:{width}}  {COMMANDS[name].summary}" for name in TOP)
    return f"""usage: {called} COMMAND [arguments]

Train a medical language model by asynchronous self-play. A research tool, not for clinical use.

commands:
{listed}

examples:
  {called} selfplay laptop             train on the CPU, on the bundled data
  {called} status runs/laptop --watch  from another terminal
  {called} runs                        list the runs in runs/
  {called} plan --help                 every command explains itself

options:
  --help     this text
  --version  the version"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code; exits with 2 and one line for a mistake."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    called = program()
    name, rest = _chosen(given)
    if name in ("", "-h", "--help", "help"):
        print(overview(called))
        return 0
    if name == "--version":
        print(f"{SCRIPT} {version()}")
        return 0
    if name not in COMMANDS:
        kind, known = ("option", ["--help", "--version"]) if name.startswith("-") else ("command", [*TOP])
        close = [f"{called} selfplay {name}"] if (SPECS / f"{Path(name).stem}.yaml").is_file() else alike(name, known)
        fail(SCRIPT, f"unknown {kind} {name}{meant(close)} (see {called} --help)")
    if not _has_working_directory():
        fail(SCRIPT, "the working directory was removed; change into one that is there")
    longer = [known for known in COMMANDS if known.startswith(f"{name} ")]
    if len(rest) > 1 and (close := alike(f"{name} {rest[0]}", longer)):
        fail(SCRIPT, f"unknown command {name} {rest[0]}{meant(close)} (see {called} --help)")
    try:
        return _run(name, f"{called} {name}", rest)
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        return 1


def _run(name: str, called: str, arguments: Sequence[str]) -> int:
    try:
        parsed = parse(name, called, arguments)
        code: int = importlib.import_module(COMMANDS[name].module).run(parsed)
        return code
    finally:
        if sys.stdout is not None:  # it was closed, as by `>&-`
            sys.stdout.flush()  # here, where it is heard of a reader that is gone; after --help too


def _has_working_directory() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _reader_is_gone() -> bool:
    """Whether standard output is a pipe that its reader, such as `head`, has closed; then further output is dropped."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    gone = any(event & select.POLLERR for _, event in poll.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


def _chosen(given: list[str]) -> tuple[str, list[str]]:
    """The command's name and its arguments; `runs compare` is one name."""
    for words in (2, 1):
        if " ".join(given[:words]) in COMMANDS:
            return " ".join(given[:words]), given[words:]
    return (given[0], given[1:]) if given else ("", [])


if __name__ == "__main__":
    sys.exit(main())
