"""`medserl runs [FOLDER]`: the runs of a folder, the newest first."""

from __future__ import annotations

import os
import stat
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from rich import filesize
from rich.table import Table
from yaml import YAMLError

from common.command_line import fail, print_json
from common.files import is_file
from common.paths import is_there
from deploy.job import run_state
from deploy.job.run_state import RunState
from deploy.report.comparison import best_heldout
from deploy.report.terminal import wide_console


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a run. `best_heldout` is null where nothing was evaluated; `changed` is seconds since 1970."""

    run: str
    state: RunState
    steps: int
    of: int
    best_heldout: float | None
    changed: float
    bytes: int
    error: str


def summary(run: Path) -> Summary:
    """Read a run's folder. Raises ValueError, one line, when its files cannot be read."""
    try:
        done, wanted = run_state.steps(run)
        ended = run_state.outcome(run)
        best = best_heldout(run)
        state = run_state.state_of(run)
    except (ValueError, KeyError, YAMLError, OSError) as error:
        raise ValueError(f"{run}: cannot be read ({' '.join(str(error).split())})") from error
    files = list(_files(run))
    return Summary(
        run=run.name,
        state=state,
        steps=done,
        of=wanted,
        best_heldout=best,
        changed=max(file.st_mtime for file in files),
        bytes=sum(file.st_size for file in files),
        error=ended.error if ended and state is RunState.FAILED else "",
    )


def _files(run: Path) -> Iterator[os.stat_result]:
    for path in run.rglob("*"):
        with suppress(OSError):  # a run that goes on removes checkpoints meanwhile
            if stat.S_ISREG((found := path.stat()).st_mode):
                yield found


def table(found: Sequence[Summary]) -> Table:
    """The list for a terminal."""
    made = Table(box=None, pad_edge=False)
    for name in ("run", "state", "steps", "best held-out", "last change", "size"):
        made.add_column(name, justify="right" if name in ("steps", "best held-out", "size") else "left", no_wrap=True)
    for one in found:
        best = "-" if one.best_heldout is None else f"{one.best_heldout:.2f}"
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.changed))
        made.add_row(one.run, one.state, f"{one.steps} of {one.of}", best, when, filesize.decimal(one.bytes))
    return made


def run(args: Namespace) -> int:
    """Print the list. Returns 0, or 2 when there is no such folder."""
    folder: Path = args.folder
    if not folder.is_dir():
        fail("runs", f"{folder}: no such folder; give the folder where runs are kept")
    found, faults = list[Summary](), list[str]()
    for path in _entries(folder):
        try:
            if is_file(path / "spec.yaml"):
                found.append(summary(path))
        except ValueError as error:
            faults.append(str(error))
    found.sort(key=lambda one: -one.changed)
    _show(folder, found, faults, args.json)
    return 0


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        fail("runs", f"{folder}: cannot be listed ({error.strerror}); give the folder where your runs are kept")


def _show(folder: Path, found: Sequence[Summary], faults: Sequence[str], as_json: bool) -> None:
    console = wide_console()
    if as_json:
        print_json([msgspec.to_builtins(one) for one in found])
    elif not found:
        itself = is_there(folder / "spec.yaml")
        console.print(f"no runs in {folder}{', which is a run itself' if itself else ''}", highlight=False)
    else:
        console.print(table(found), highlight=False)
        for one in found:
            if one.error:
                console.print(f"{one.run} failed: {one.error}", highlight=False, soft_wrap=True)
    for fault in faults:
        print(f"runs: {fault}", file=sys.stderr)
