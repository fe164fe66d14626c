"""Errors from other processes, for people."""

from __future__ import annotations


def last_line(error: BaseException) -> str:
    """The last line that says something: Ray puts the cause's own message at the end of a remote traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:400] if lines else type(error).__name__
