"""Files of a run: written atomically, and read so that a torn last line is ignored."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically: it has all of `data`, or its earlier content, even if the machine stops at once."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # a rename may reach the disk before what was written
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def json_line(content: Mapping[str, Any]) -> bytes:
    """An object as one line of a JSON lines file. Numbers that are not finite are null: JSON has none."""
    return msgspec.json.encode(content) + b"\n"


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON lines file, oldest first; see `parsed_lines`."""
    return parsed_lines(path, json.loads)


def parsed_lines(path: Path, parse: Callable[[bytes], T]) -> list[T]:
    """`parse` of each line, oldest first; none if there is no file.

    A last line without its newline is still being written, or a crash tore it: it counts if it parses. Raises
    ValueError, naming file and line, if another line does not parse; `parse` raises ValueError then, as decoders do.
    """
    lines = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    found = list[T]()
    for number, line in enumerate(lines, start=1):
        is_open = number == len(lines)
        if is_open and not line:
            break
        try:
            found.append(parse(line))
        except ValueError as error:
            if not is_open:
                raise ValueError(f"{path}:{number}: not JSON ({error}); remove the line") from error
    return found


def cut_torn_line(path: Path) -> None:
    """Remove a last line that has no newline, so that the next one written does not continue it."""
    content = path.read_bytes() if path.is_file() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
