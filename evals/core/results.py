"""What every suite leaves in its --out folder: result.json, report.md and report.png."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from common.files import read_bytes, write_whole
from common.records import Record

OTHER = "give the result.json of another run of this suite"
Result = TypeVar("Result", bound=Record)


class _OfAnySuite(Record):
    suite: str


def load(path: Path, kind: type[Result]) -> Result:
    """Read a result.json of this kind. Raises ValueError, one line, when it is none."""
    data = read_bytes(path, "write the path of the other run's result.json")
    try:
        return msgspec.json.decode(data, type=kind)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {_other(data) or f'not a result of evals.run ({error})'}; {OTHER}") from None


def _other(data: bytes) -> str:
    """Of which other suite it is a result."""
    try:
        suite = msgspec.json.decode(data, type=_OfAnySuite).suite
    except (ValueError, RecursionError):
        return ""
    return f"is a result of another suite or version (--suite {suite})"


def write(out: Path, result: Record, report: str, draw: Callable[[Path], None] | None) -> None:
    """Write the files, each whole or not at all; without `draw`, no report.png."""
    out.mkdir(parents=True, exist_ok=True)
    if draw is not None:
        partial = out / ".report.png"
        draw(partial)
        os.replace(partial, out / "report.png")
    write_whole(out / "report.md", report.encode())
    write_whole(out / "result.json", msgspec.json.format(msgspec.json.encode(result)))
