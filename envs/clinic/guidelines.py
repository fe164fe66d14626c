"""Recommendations of guidelines as predicates over events: what was done, when, before what. Words count for nothing.

Compliance is over the recommendations that apply to a patient: .6 of the share of critical ones that are met and .4 of
the share of all; without critical ones the share of all. Where none applies there is no compliance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.records import Record
from envs.clinic.world import AGENT, Event, World

CRITICAL_SHARE = 0.6


class Action(Record):
    """An event of the agent of this kind, with at least this payload; a list of the payload holds the value."""

    kind: str
    payload: Mapping[str, Any] = {}

    def is_(self, event: Event) -> bool:
        """Whether the event is one."""
        return event.actor == AGENT and event.kind == self.kind and all(map(event_has(event), self.payload.items()))


def event_has(event: Event) -> Callable[[tuple[str, Any]], bool]:
    """Whether an event's payload has a value under a name, alone or in a list."""

    def has(wanted: tuple[str, Any]) -> bool:
        name, value = wanted
        there = event.payload.get(name)
        return value in there if isinstance(there, list | tuple) else there == value

    return has


class Recommendation(Record):
    """`wants` one of the actions, `within_min` of the beginning and before the first of `before` where these are given;
    with `never`, none of them."""

    name: str
    says: str
    wants: tuple[Action, ...]
    critical: bool = False
    within_min: int | None = None
    before: tuple[Action, ...] = ()
    never: bool = False

    def met(self, world: World) -> bool:
        """Whether the events of an episode meet it."""
        done = _first(self.wants, world.events)
        if self.never or done is None:
            return self.never and done is None
        late = self.within_min is not None and world.events[done].t_min - world.events[0].t_min > self.within_min
        after = _first(self.before, world.events)
        return not late and (after is None or done < after)


class Compliance(Record):
    """Which of the recommendations that apply were met."""

    met: tuple[str, ...]
    missed: tuple[str, ...]
    score: float


def compliance(applying: Sequence[Recommendation], world: World) -> Compliance | None:
    """That of an episode which ended in this world; None where nothing applies."""
    if not applying:
        return None
    met = [one for one in applying if one.met(world)]
    critical = [one in met for one in applying if one.critical]
    share = len(met) / len(applying)
    score = CRITICAL_SHARE * sum(critical) / len(critical) + (1 - CRITICAL_SHARE) * share if critical else share
    return Compliance(
        met=tuple(one.name for one in met),
        missed=tuple(one.name for one in applying if one not in met),
        score=score,
    )


def _first(actions: Sequence[Action], events: Sequence[Event]) -> int | None:
    """The place of the first event that is one of the actions."""
    return next((at for at, event in enumerate(events) if any(action.is_(event) for action in actions)), None)
