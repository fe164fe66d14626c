"""Tools as functions `(World, arguments) -> (World, text, minutes)`, with the schema that the policy sees.

`use` moves the clock, and notes the call as the agent's event, so that no tool has to. A tool may note further events
of the house, and must not say whether anything was right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from common.records import Tool
from envs.clinic.world import AGENT, REFUSED, Event, Patient, World

Arguments = Mapping[str, Any]


class Used(NamedTuple):
    """What a tool did: the world after it, the answer, and how long it took. `refused`: nothing was done."""

    world: World
    text: str
    minutes: int = 0
    refused: bool = False


class Instrument(NamedTuple):
    """A tool and what it does. `run` is pure; `ends`: it is the answer that ends the episode."""

    tool: Tool
    run: Callable[[World, Arguments], Used]
    ends: bool = False


def use(world: World, instrument: Instrument, arguments: Arguments) -> Used:
    """What a call does; the event has the time at which it was begun."""
    name = instrument.tool.name
    used = instrument.run(world, arguments)
    if used.refused:
        return used._replace(world=world.noting(REFUSED, actor=AGENT, tool=name))
    noted = Event(t_min=world.clock_min, actor=AGENT, kind=name, payload=dict(arguments))
    events = (*world.events, noted, *used.world.events[len(world.events) :])
    clock = used.world.clock_min + used.minutes
    return used._replace(world=msgspec.structs.replace(used.world, events=events, clock_min=clock))


def refuse(world: World, text: str) -> Used:
    """A call that comes to nothing, and why."""
    return Used(world, text, refused=True)


def about(run: Callable[[World, Patient, Arguments], Used]) -> Callable[[World, Arguments], Used]:
    """What a tool does for the patient of its argument `patient_id`; an id that is not in the world is refused."""

    def found(world: World, arguments: Arguments) -> Used:
        patient = world.patient(arguments["patient_id"])
        if patient is None:
            return refuse(world, f"There is no patient {arguments['patient_id']}.")
        return run(world, patient, arguments)

    return found


PATIENT_ID: dict[str, Any] = {"type": "string", "pattern": r"^P\d{1,4}$"}
HADM_ID: dict[str, Any] = {"type": "string", "pattern": r"^H\d{1,4}$"}
