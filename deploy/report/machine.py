"""Where a run was made, for whoever wants to repeat it: code, packages, data and processor of each of its starts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import msgspec

from common.backends.processor import Processor, cpuinfo
from common.files import append_line, parsed_lines
from common.records import Record
from deploy.program import TREE, version

FILE = "machine.jsonl"
GIT_SECONDS = 10.0


class Machine(Record):
    """One start of a run, a line of machine.jsonl.

    `commit` is "" and `changed` None where the code is no git checkout, as on the machines of `ray job submit`;
    `changed` says whether files of the commit were edited. `data` has a sha256 for each file that a game reads.
    """

    time: float  # seconds since 1970
    version: str
    commit: str
    changed: bool | None
    python: str
    packages: dict[str, str]
    data: dict[str, str]
    processor: str
    cores: int
    bfloat16: str  # the name of its instructions for it, "" for none

    @property
    def code(self) -> str:
        """The code in a few words."""
        known = f"commit {self.commit[:12]}{', with edited files' if self.changed else ''}" if self.commit else ""
        return f"MedSeRL {self.version}{f' ({known})' if known else ''}"

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.code}; {self.processor or 'unnamed processor'}, {self.cores} cores"


def here(data: Mapping[str, str]) -> Machine:
    """This machine and code; `data` has the sha256 of each file that a game reads."""
    processor = Processor.of(cpuinfo())
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return Machine(
        time=time.time(),
        version=version(),
        commit=commit or "",
        changed=None if changes is None else bool(changes),
        python=sys.version.split()[0],
        packages=dict(_packages()),
        data=dict(data),
        processor=processor.name,
        cores=os.cpu_count() or 0,
        bfloat16=" ".join(sorted(processor.sets & {"amx_bf16", "avx512_bf16", "bf16"})),
    )


@cache
def _packages() -> tuple[tuple[str, str], ...]:
    """Name and version of each, in order: the files of all that is installed are read for it, once a process."""
    return tuple(sorted((found.name.lower(), found.version) for found in distributions()))


def keep(run: Path, found: Machine) -> None:
    """Add a start to the run's folder."""
    append_line(run / FILE, msgspec.json.encode(found))


def starts(run: Path) -> Sequence[Machine]:
    """The starts of a run, oldest first; none of a run from before they were recorded."""
    return parsed_lines(run / FILE, msgspec.json.Decoder(Machine).decode).found


def _git(*arguments: str) -> str | None:
    """What git prints of this tree; None where there is no git, or it is no checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(TREE), *arguments], capture_output=True, text=True, timeout=GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
