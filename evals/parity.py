"""The command `medserl parity`: what public systems do and ours must show, row by row, each with a negative control.

A suite that has such rows is a folder of `evals/suites` with a module `parity.table`, whose `table()` gives them.
"""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table as Printed

from common.command_line import Parser, alike, fail, meant, print_json
from evals.core.parity import Table, Verdict

NAME = "parity"
SUITES = ("oversight", "clinic")
WIDTH = 120
DESCRIPTION = """Check what public systems do and ours must show, row by row (docs/parity.md).

Each row is checked on the game as it is, and then again with one part of it corrupted on purpose: its negative control,
which must turn exactly this row red. Rows that need a model, a server or a training run are listed as `by command`.
Takes two or three minutes on one core. Exit codes: 0 all rows are green and every control turned its row red alone, 1
not so, 2 a wrong call."""
EXAMPLES = (
    ("", "all rows and their controls"),
    ("--rows SA03 SA07", "some of them"),
    ("--no-controls", "the rows alone"),
    ("--json", ""),
    ("--markdown", "the lines of docs/parity.md"),
)


def parser(program: str) -> Parser:
    """The parser, called `program` in its usage line."""
    made = Parser(NAME, program, DESCRIPTION, EXAMPLES)
    made.add_argument("--rows", nargs="+", metavar="ROW", help="only these, as SA03 (default: all)")
    made.add_argument("--no-controls", action="store_true", help="apply no negative controls")
    how = made.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print one JSON document instead, for scripts")
    how.add_argument("--markdown", action="store_true", help="print the lines of docs/parity.md instead")
    return made


def run(args: Namespace, tables: Sequence[Table] = ()) -> int:
    """Check the rows, of all suites or of other tables, and print them; the exit code."""
    tables = tables or [importlib.import_module(f"evals.suites.{suite}.parity.table").table() for suite in SUITES]
    known = [one.row for table in tables for one in table.rows]
    names = known if args.rows is None else [name.upper() for name in args.rows]
    for name in names:
        if name not in known:
            fail(NAME, f"--rows {name}: no such row{meant(alike(name, known))}; there are {_ranges(tables)}")
    asked = [name for name in known if name in names]
    judging = _judging(tables, asked, not args.no_controls)
    verdicts = list(track(judging, "rows", len(asked), console=Console(stderr=True), transient=True))
    if args.json:
        print_json({"ok": all(one.ok for one in verdicts), "rows": [msgspec.to_builtins(one) for one in verdicts]})
    elif args.markdown:
        print("\n".join(map(line, verdicts)))
    else:
        show(verdicts, Console(width=max(WIDTH, Console().width), markup=False))
    return 0 if all(one.ok for one in verdicts) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m evals.parity`."""
    return run(parser("python -m evals.parity").parse_args(arguments))


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print the table, how many rows are in which state, and what is wrong."""
    printed = Printed("row", "what it says", "figure", "state", "control")
    for one in verdicts:
        printed.add_row(one.row, one.says, one.figure, one.state, turned(one))
    console.print(printed)
    states = [one.state for one in verdicts]
    console.print(", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)))
    for one in verdicts:
        for problem in one.problems:
            console.print(f"{one.row}: {problem}", markup=False)
        if one.turned not in (None, (one.row,)):
            console.print(f"{one.row}: its control must turn it red and no other row: {one.control}", markup=False)


def line(one: Verdict) -> str:
    """A row of docs/parity.md."""
    shown = ", ".join(f"`{name}`" for name in one.shown_by)
    control = f"{one.control}: {turned(one)}" if one.control else "-"
    return f"| {one.row} | {one.says} | {one.figure} | {one.state} | {control} | {shown} |"


def turned(one: Verdict) -> str:
    """What its control turned red, `-` without a control."""
    if one.turned is None:
        return "-"
    return "red alone" if one.turned == (one.row,) else f"red: {', '.join(one.turned) or 'none'}"


def _ranges(tables: Sequence[Table]) -> str:
    return ", ".join(f"{table.rows[0].row} to {table.rows[-1].row}" for table in tables)


def _judging(tables: Sequence[Table], names: Sequence[str], controls: bool) -> Iterator[Verdict]:
    return (verdict for table in tables for verdict in table.judge(names, controls))


if __name__ == "__main__":
    sys.exit(main())
