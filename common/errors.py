"""Errors from other processes as one readable line."""

from __future__ import annotations


class ActorLost(RuntimeError):
    """An actor died that cannot be replaced alone: the run starts over from its newest checkpoint.

    `kind` is what `common.metrics.ACTOR_RESTARTS` counts it as.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def last_line(error: BaseException) -> str:
    """The last line that says something: Ray puts the cause's own message at the end of a remote traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:400] if lines else type(error).__name__
