"""What the replay buffer holds: claims of Scribes, and tasks on their way to their training."""

from __future__ import annotations

from dataclasses import dataclass

from common.buffer_records import TaskState
from common.records import Group, LabelledTask


@dataclass
class Claim:
    """An index that a Scribe is making a task from."""

    scribe: str
    deadline: float


@dataclass
class Held:
    """A task that is neither trained nor rejected. `doctor`, `version` and `deadline` belong to its lease."""

    labelled: LabelledTask
    state: TaskState = TaskState.READY
    doctor: str = ""
    version: int = -1
    deadline: float = 0.0
    group: Group | None = None
