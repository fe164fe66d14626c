"""What a processor says about itself in /proc/cpuinfo."""

from __future__ import annotations

from pathlib import Path

from common.records import Record

_SETS = ("flags", "Features")
"""The lines that list a core's instruction sets: x86 and ARM."""


class Processor(Record):
    """`name` is "" where none is given, as on ARM; `sets` are the instruction sets that all cores have."""

    name: str
    sets: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Processor:
        """From the text of /proc/cpuinfo, "" where there is none."""
        lines = [
            (name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in text.splitlines())
        ]
        cores = [frozenset(value.split()) for name, value in lines if name in _SETS]
        return cls(
            name=next((value for name, value in lines if name == "model name"), ""),
            sets=frozenset.intersection(*cores) if cores else frozenset(),
        )


def cpuinfo() -> str:
    """The text of /proc/cpuinfo, "" where there is none."""
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.is_file() else ""
