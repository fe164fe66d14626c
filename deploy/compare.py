"""`medserl runs compare A B`: two runs side by side, in a table and a picture."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from rich.table import Table
from yaml import YAMLError

from common.command_line import fail, print_json
from common.files import is_file
from deploy.job.run_state import damaged, state_of
from deploy.report import comparison
from deploy.report.terminal import wide_console

NAME = "runs compare"
FORMATS = (".png", ".svg", ".pdf")


def run(args: Namespace) -> int:
    """Print the comparison and draw it. Returns 0, or 2 after one line when a run is missing or has no step."""
    try:
        first, second = _folder(args.first), _folder(args.second)
        if first.samefile(second):
            raise ValueError(f"{first} and {second} are the same run: give two")
        names = comparison.labels(first, second)
        out = _picture(args.out, first, second)
        comparison.draw(first, second, out)
        shown = as_json(first, second, names, out) if args.json else table(first, second, names)
    except (ValueError, YAMLError) as error:
        fail(NAME, " ".join(str(error).split()))
    except OSError as error:
        fail(NAME, f"{error.filename}: cannot write the picture ({error.strerror}); name another with --out")
    for line in (*damaged(first), *damaged(second)):
        print(f"{NAME}: {line}", file=sys.stderr)
    if args.json:
        print_json(shown)
        return 0
    console = wide_console()
    console.print(shown, highlight=False)
    console.print(f"\npicture: {out}", highlight=False, soft_wrap=True)
    return 0


def _folder(given: Path) -> Path:
    """The folder of a run that is given by its path, or by its name in runs/."""
    for folder in (given, Path("runs") / given):
        if is_file(folder / "spec.yaml"):
            return folder
    raise ValueError(f"{given}: no run there (a folder with spec.yaml), nor below runs/")


def _picture(out: Path | None, first: Path, second: Path) -> Path:
    """Where the picture goes. Raises ValueError for a name that says no format."""
    if out is None or out.is_dir():
        return (out or first.parent) / f"compare-{first.resolve().name}-{second.resolve().name}.png"
    if out.suffix.lower() not in FORMATS:
        raise ValueError(f"--out {out}: write a folder, or a name that ends in {' or '.join(FORMATS)}")
    return out


def as_json(first: Path, second: Path, names: tuple[str, str], out: Path) -> dict[str, Any]:
    """The comparison for scripts."""
    return {
        "runs": names,
        "state": [state_of(first), state_of(second)],
        "figures": [comparison.figures(first), comparison.figures(second)],
        "differences": comparison.differences(first, second),
        "picture": out,
    }


def table(first: Path, second: Path, names: tuple[str, str]) -> Table:
    """Figures, then the fields of the spec in which they differ."""
    made = Table(box=None, pad_edge=False)
    for name in ("", *names):
        made.add_column(name, overflow="fold")
    made.add_row("state", state_of(first), state_of(second))
    one, two = comparison.figures(first), comparison.figures(second)
    for name in one:
        made.add_row(name, _number(one[name]), _number(two[name]))
    for name, (here, there) in comparison.differences(first, second).items():
        made.add_row(name, _value(here), _value(there), style="dim")
    return made


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _value(value: Any) -> str:
    return "-" if value is None else str(value)
