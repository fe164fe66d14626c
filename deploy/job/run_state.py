"""Whether a run is running, and how it ended otherwise: read from its folder alone."""

from __future__ import annotations

import fcntl
import time
from enum import StrEnum
from pathlib import Path

import msgspec

from common.files import is_file, read_record, read_text, write_whole
from common.records import Record
from common.spec_file import read_settings
from deploy.report.steps import read_steps
from evals.core import curve

FILE, JOB = "outcome.json", "job-id"


class RunState(StrEnum):
    """What a run does, or how its newest process ended."""

    RUNNING = "running"
    FINISHED = "finished"  # all steps made, the model saved
    STOPPED = "stopped"  # on request, with a checkpoint
    FAILED = "failed"


class Outcome(Record):
    """outcome.json: how a run's process ended, when (seconds since 1970), and what went wrong if it failed."""

    state: RunState
    time: float
    error: str = ""


def record(run: Path, state: RunState, error: str = "") -> None:
    """Write how this process of the run ended."""
    write_whole(run / FILE, msgspec.json.encode(Outcome(state=state, time=time.time(), error=error)))


def forget(run: Path) -> None:
    """A new process of the run begins."""
    (run / FILE).unlink(missing_ok=True)


def outcome(run: Path) -> Outcome | None:
    """How the run's newest process ended; None while it runs, and when it left no word that can be read (it was
    killed)."""
    return read_record(run / FILE, Outcome)


def job_of(run: Path) -> tuple[str, int]:
    """The newest process of the run: the id that its metrics carry, and the port where it serves them.

    The id is empty where none left one, and the port 0 where it is not known.
    """
    try:
        words = read_text(run / JOB).split()
    except ValueError:
        words = []
    job, port = [*words, "", ""][:2]
    return job, int(port) if port.isdecimal() else 0


def is_running(run: Path) -> bool:
    """Whether some process has the run's folder locked. Raises ValueError, one line, where this user may not look."""
    file = run / "lock"
    if not is_file(file):
        return False
    try:
        with file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except PermissionError:
        raise ValueError(f"{file}: may not be read; give read permission on it") from None
    return False


def state_of(run: Path) -> RunState:
    """The state of a run's folder.

    A run that left no outcome.json (an older one, or one that was killed) counts as finished with a model, and as
    stopped with a checkpoint of its newest step, which can be continued without a loss; else it failed.
    """
    if is_running(run):
        return RunState.RUNNING
    if (found := outcome(run)) is not None:
        return found.state
    done, wanted = steps(run)
    if done >= wanted and (run / "model" / "config.json").is_file():
        return RunState.FINISHED
    return RunState.STOPPED if (run / "checkpoints" / f"step-{done:05d}").is_dir() else RunState.FAILED


def damaged(run: Path) -> list[str]:
    """A line about each damaged line of what the run logged: its steps, and its held-out curve."""
    return [*read_steps(run).damaged, *curve.points(run / curve.FILE).damaged]


def steps(run: Path) -> tuple[int, int]:
    """(the newest step that is logged, how many the spec asks for). Reads specs of any version.

    Raises ValueError for what is no run's spec.yaml.
    """
    rows = read_steps(run).found
    wanted = read_settings(run / "spec.yaml").get("steps")
    if not isinstance(wanted, int):
        raise ValueError(f"{run / 'spec.yaml'} has no steps: it is not a run's record")
    return rows[-1]["step"] if rows else 0, wanted
