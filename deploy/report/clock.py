"""Wall time of a run by phase, with the phases of the terminal, and one line that sums them up."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from pathlib import Path

import msgspec
import psutil

from common.files import read_record, write_whole
from common.records import Record

FILE = "time.json"

PARTS = {
    "Python and Ray": ("starting",),
    "model": ("resolving the model",),
    "warm-up": ("writing demonstrations", "warming up"),
    "engines": ("starting engines",),
    "exam": ("examining the verifier",),
    "steps": ("waiting for a batch", "training", "publishing", "training the Scribe"),
    "evaluation": ("evaluating",),
    "saving": ("checkpointing", "saving the model"),
    "stopping": ("stopping",),
    "plot and page": ("drawing",),
}
OTHER_SHARE = 0.02
"""Share of the whole; time outside the named phases is shown only above it."""


class Spent(Record):
    """time.json: wall seconds by phase since the run's process began, without the earlier starts of a resumed run."""

    seconds: dict[str, float]

    def __str__(self) -> str:
        total = sum(self.seconds.values())
        parts = {name: sum(self.seconds.get(phase, 0.0) for phase in phases) for name, phases in PARTS.items()}
        other = total - sum(parts.values())
        shown = [f"{name} {duration(spent)}" for name, spent in parts.items() if round(spent)]
        shown += [f"other {duration(other)}"] if other > OTHER_SHARE * total else []
        return f"{duration(total)} = {', '.join(shown)}"


class Clock:
    """Always in one phase, from the start of this process on, so Python's own start is counted too."""

    def __init__(self) -> None:
        self._phase = "starting"
        self._since = time.monotonic() - (time.time() - psutil.Process().create_time())
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def enter(self, phase: str) -> None:
        """Count time towards `phase` from now on."""
        now = time.monotonic()
        self._seconds[self._phase] += now - self._since
        self._phase, self._since = phase, now

    def keep(self, run: Path) -> Spent:
        """The time spent until now; it is also written into the run's folder."""
        self.enter(self._phase)
        spent = Spent(seconds=dict(self._seconds))
        write_whole(run / FILE, msgspec.json.encode(spent))
        return spent


def read(run: Path) -> Spent | None:
    """The time spent by the run's newest start; None before its first step, and when the file is damaged."""
    found = read_record(run / FILE, Spent)
    return found if found and math.isfinite(sum(found.seconds.values())) else None


def duration(seconds: float) -> str:
    """`41 s`, `9 min 12 s`, `3 h 2 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
