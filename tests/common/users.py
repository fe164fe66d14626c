"""Another user, for tests that run as root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OTHER = 12345
"""A user id that nobody has."""


@contextmanager
def as_other_user(folder: Path) -> Iterator[None]:
    """This process is `OTHER` inside, with no right of root's, but may go down to `folder`."""
    modes = [(above, above.stat().st_mode & 0o7777) for above in folder.parents]
    closed = [(above, mode) for above, mode in modes if mode & 0o011 != 0o011]
    try:
        for above, mode in closed:
            above.chmod(mode | 0o011)  # root stays its group
        os.seteuid(OTHER)
        yield
    finally:
        os.seteuid(0)
        for above, mode in closed:
            above.chmod(mode)
