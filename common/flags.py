"""Paths as people write them. Standard library only: `--help` is answered before anything heavy is imported."""

from __future__ import annotations

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
