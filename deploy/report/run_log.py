"""run.log in a run's folder: what its process prints, of every start. On a terminal, where a table is drawn again and
again, it holds the lines that are printed where there is none."""

from __future__ import annotations

import shlex
import sys
import time
import traceback
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

FILE = "run.log"


class RunLog:
    """Use as a context manager: what is printed inside is kept, and written as soon as `into` says where.

    It is written at once, so that a process that is killed leaves all it said. A disk that refuses ends no run here:
    what must be written says so itself.
    """

    def __init__(self) -> None:
        self._early: list[str] = []
        self._file: FileIO | None = None
        self._before: tuple[TextIO, TextIO]

    def __enter__(self) -> RunLog:
        self._before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = Tee(sys.stdout, self), Tee(sys.stderr, self)  # type: ignore[assignment]  # as TextIO
        self.write(f"== {time.strftime('%Y-%m-%d %H:%M:%S')}  {shlex.join(sys.argv)}\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        sys.stdout, sys.stderr = self._before
        if error is not None and not isinstance(error, SystemExit):  # Python prints it after this
            self.write("".join(traceback.format_exception(error)))
        if self._file is not None:
            self._file.close()

    def into(self, folder: Path) -> None:
        """Append to `folder`/run.log from now on, what was printed before included."""
        with suppress(OSError):
            self._file = FileIO(folder / FILE, "a")
            self.write("".join(self._early))

    def write(self, text: str) -> int:
        """Keep some text; as of a stream."""
        if self._file is None:
            self._early.append(text)
        elif not self._file.closed:
            with suppress(OSError):
                self._file.write(text.encode(errors="replace"))
        return len(text)

    def flush(self) -> None:
        """Nothing waits here."""


class Tee:
    """A stream whose text is kept in a RunLog too."""

    def __init__(self, stream: TextIO, log: RunLog) -> None:
        self.stream, self.log = stream, log

    def write(self, text: str) -> int:
        """Write to both."""
        self.log.write(text)
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
