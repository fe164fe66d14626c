"""Events for tests of the journal."""

from __future__ import annotations

from pathlib import Path

from actors.journal import Event, Journal
from common.records import Label, LabelledTask, Limits, Provenance, Task


def labelled(index: int) -> LabelledTask:
    task = Task(
        env="verdict",
        task_id=f"task-{index}",
        split="train",
        context={"note": "naïve “quote”\u2028"},
        limits=Limits(),
        provenance=Provenance(source="bundled", vignette=f"v{index}", kind="augmented_safe"),
    )
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={"flag": 0}))


def write(path: Path, *events: Event) -> None:
    journal = Journal(path)
    for event in events:
        journal.write(event)
    journal.close()


def ready(*indices: int) -> list[Event]:
    return [Event(state="ready", indices=(index,), labelled=labelled(index)) for index in indices]
