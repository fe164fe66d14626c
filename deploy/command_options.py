"""The arguments of each command, added to its parser; deploy/commands.py is the table that names them."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

from common.flags import flag_count, flag_path

SHELLS = ("bash", "zsh", "fish")
LAST_PORT, LAST_TASK = 65535, 10_000
RUN_HELP = "the run's folder, for example runs/laptop"


def add_to(parser: ArgumentParser, command: str) -> None:
    """Add the arguments of a command that have no field of the spec behind them."""
    if command in _OF:
        _OF[command](parser)


def _switch(add: ArgumentParser, *flags: str, what: str) -> None:
    add.add_argument(*flags, action="store_true", help=what)


def _json(add: ArgumentParser) -> None:
    _switch(add, "--json", what="print one JSON document instead, for scripts")


def _selfplay(add: ArgumentParser) -> None:
    _switch(add, "--dry-run", what="print the resolved plan and exit")
    _switch(add, "--resume", what="continue from the run's last checkpoint")
    _switch(add, "--skip-bad-rows", what="leave out rows of the data that cannot be read, and count them")


def _apply(add: ArgumentParser) -> None:
    _switch(add, "--dry-run", what="print what would change and exit")
    _json(add)


def _run(add: ArgumentParser) -> None:
    add.add_argument("run", type=flag_path, help=RUN_HELP)


def _status(add: ArgumentParser) -> None:
    _run(add)
    add.add_argument(
        "--port", type=_port, help="where the job serves its metrics (default: where it said that it does)"
    )
    _switch(add, "--watch", what="refresh every two seconds until Ctrl-C")
    _json(add)


def _view(add: ArgumentParser) -> None:
    _run(add)
    _switch(add, "--live", what="serve a page on this machine that follows the run, until Ctrl-C; writes nothing")
    add.add_argument("--port", type=_port, help="with --live: where (default: any free port)")


def _stop(add: ArgumentParser) -> None:
    _run(add)
    _json(add)


def _task(text: str) -> int:
    number = flag_count(text)
    if number > LAST_TASK:
        raise ArgumentTypeError(f"{text!r}: write a whole number up to {LAST_TASK}; those before it are made too")
    return number


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise ArgumentTypeError(f"{text!r}: write a port, a whole number up to {LAST_PORT}")
    return int(text)


def _ask(add: ArgumentParser) -> None:
    add.add_argument("run", type=flag_path, help=f"{RUN_HELP}, or one that medserl export wrote")
    asked = add.add_mutually_exclusive_group()
    asked.add_argument("--task", type=_task, metavar="N", help="the game's N-th held-out task (default: 1)")
    asked.add_argument(
        "--task-file",
        metavar="FILE",
        help="a task in a file, if the game takes any; - is standard input",
    )
    asked.add_argument(
        "--text",
        metavar="FILE",
        action="append",
        help="a text, if the game takes any: a file, - for standard input, a folder of .txt files, or a .jsonl with "
        "a text in each line; may be given several times",
    )
    add.add_argument("--env", metavar="ID", help="which game, if the run plays several (default: its first)")
    add.add_argument("--spec", type=flag_path, metavar="SPEC", help="of an exported model: how it is asked")
    _switch(add, "--base", what="ask the model from which the training began too, to compare")
    _switch(add, "--full", what="cut no text")
    _switch(add, "--json", what="print one JSON document a reply instead, each in a line, for scripts")


def _data(add: ArgumentParser) -> None:
    add.add_argument("action", choices=("check",))
    add.add_argument("file", metavar="FILE", help="a file or folder of notes, or bundled")
    add.add_argument("--phrases", metavar="FILE", help="as data.phrases of a run: bundled, own, or a file")
    add.add_argument("--max-words", type=flag_count, metavar="N", default=300, help="as data.max_words (300)")
    add.add_argument("--tasks", type=_task, metavar="N", default=3, help="how many tasks to show (3)")
    _json(add)


def _export(add: ArgumentParser) -> None:
    _run(add)
    add.add_argument("out", type=flag_path, help="a new folder")
    _switch(add, "--adapter", what="the LoRA adapter alone")
    add.add_argument("--push", metavar="OWNER/NAME", help="also upload it to the Hugging Face hub, as a private model")
    _switch(add, "--public", what="with --push: everybody may read it")


def _runs(add: ArgumentParser) -> None:
    add.add_argument("folder", type=flag_path, nargs="?", default=Path("runs"), help="where runs are (default: runs)")
    _json(add)


def _compare(add: ArgumentParser) -> None:
    add.add_argument("first", type=flag_path, metavar="A", help="a run's folder, or its name in runs/")
    add.add_argument("second", type=flag_path, metavar="B", help="another")
    add.add_argument("--out", type=flag_path, help="the picture (default: compare-A-B.png beside the folder of A)")
    _json(add)


def _completion(add: ArgumentParser) -> None:
    add.add_argument("shell", choices=SHELLS)


_OF: dict[str, Callable[[ArgumentParser], None]] = {
    "selfplay": _selfplay,
    "plan": _json,
    "status": _status,
    "apply": _apply,
    "stop": _stop,
    "runs": _runs,
    "view": _view,
    "runs compare": _compare,
    "ask": _ask,
    "export": _export,
    "data": _data,
    "completion": _completion,
}
