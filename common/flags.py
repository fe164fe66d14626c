"""Paths and numbers as people write them. Standard library only: `--help` is answered before all that is heavy."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from pathlib import Path


def path_of(written: str | Path) -> Path:
    """The path that is meant: `~` and `~user` are home folders; nothing else is expanded, blanks and brackets stay.

    Raises ValueError, one line, for an empty one, one with a NUL, and for a home that does not exist.
    """
    if not str(written) or "\0" in str(written):
        raise ValueError(f"{str(written)!r} is no path")
    try:
        return Path(written).expanduser()
    except RuntimeError:
        raise ValueError(f"{written}: there is no such home folder; write the path without ~") from None


def flag_path(written: str) -> Path:
    """`path_of` for argparse."""
    try:
        return path_of(written)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def flag_count(written: str) -> int:
    """A whole number from 1, for argparse."""
    if not written.isdecimal() or int(written) < 1:
        raise ArgumentTypeError(f"{written!r}: write a whole number from 1")
    return int(written)


def flag_seconds(written: str) -> float:
    """A time above 0 and not endless, for argparse."""
    try:
        seconds = float(written)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ArgumentTypeError(f"{written!r}: write a number of seconds above 0")
    return seconds
