"""Events for tests of the journal."""

from __future__ import annotations

from pathlib import Path

from actors.journal import Event, Journal
from common.records import LabelledTask
from simulator import rollouts


def labelled(index: int) -> LabelledTask:
    context = {"note": "naïve “quote”\u2028"}
    return rollouts.labelled(f"task-{index}", vignette=f"v{index}", context=context, truth={"flag": 0})


def write(path: Path, *events: Event) -> None:
    journal = Journal(path)
    for event in events:
        journal.write(event)
    journal.close()


def ready(*indices: int) -> list[Event]:
    return [Event(state="ready", indices=(index,), labelled=labelled(index)) for index in indices]
