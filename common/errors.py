"""Errors from other processes as one readable line."""

from __future__ import annotations

import errno


class ActorLost(RuntimeError):
    """An actor died that cannot be replaced alone: the run starts over from its newest checkpoint.

    `kind` is what `common.metrics.ACTOR_RESTARTS` counts it as.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def os_refusal(error: OSError) -> str:
    """What the operating system refused, for people: which file, why, and what to do about it."""
    name = str(error.filename2 or error.filename or "")
    where = f"{name}: " if name else ""
    if error.errno == errno.ENOSPC and name.startswith("/dev/shm"):
        return f"{where}this machine's shared memory is full; free /dev/shm, or give it more (docker: --shm-size)"
    return f"{where}{error.strerror or error}{_REMEDIES.get(error.errno or 0, '')}"


_REMEDIES = {
    errno.ENOSPC: "; make room on that disk",
    errno.EDQUOT: "; make room, your quota is used up",
    errno.EACCES: "; write to a folder of yours, or get the right to write there",
    errno.EPERM: "; write to a folder of yours, or get the right to write there",
    errno.EROFS: "; write to a folder of yours, that disk cannot be written",
    errno.ENOTDIR: "; a file is where a folder should be: remove it, or write another path",
    errno.EEXIST: "; a file is there already: remove it, or write another path",
    errno.ENAMETOOLONG: "; write a shorter name",
}


def last_line(error: BaseException) -> str:
    """The last line that says something: Ray puts the cause's own message at the end of a remote traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:400] if lines else type(error).__name__
