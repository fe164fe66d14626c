"""A case on the page of a run: what could be found out, the answer, and the episode as a timeline of events.

Events are those that rewards and rules of safety read: they are made again from the replies, over the world that the
label holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from markupsafe import Markup

from common.records import Record
from envs.clinic.domain import Truth, Violation
from envs.clinic.domains import instruments, kit_name, split_kit
from envs.clinic.instruments import use
from envs.clinic.world import AGENT, REFUSED, Event, World
from envs.contract.call_text import OPEN, literal
from envs.contract.calls import Call, parse
from envs.contract.page_view import Shown, words
from envs.contract.turns_view import TurnsView

LONGEST = 90
"""Characters of an event's arguments that are shown."""
_TABLE = Markup(
    '<table class="timeline"><caption>Events</caption><thead><tr><th>min</th><th>turn</th><th>event</th></tr></thead>'
    "<tbody>{}</tbody></table>"
)
_WHO = ("patient_id", "hadm_id")
"""Arguments that are the same in almost all events."""


class Moment(Record):
    """An event of an episode: the turn that made it, and the minutes since the episode began."""

    turn: int
    minutes: int
    event: Event


class CaseView(TurnsView):
    """Cases of a page: what is asked, what can be found out, and the answer; beside the turns, the timeline."""

    task_title = "Case and answer"

    def task(self, shown: Shown) -> Markup:
        """The request, what can be found out, and the answer."""
        context, truth = json.loads(shown.context), json.loads(shown.truth)
        answer = json.dumps(truth["answer"], indent=1, ensure_ascii=False)
        said = "\n".join(
            f"{one['part']} {one['topic']}: {one['text']}"
            for patient in context["world"]["patients"]
            for one in patient["said"]
        )
        return Markup("<p>{}</p><pre>{}</pre><pre>{}</pre>").format(context["request"], said, answer)

    def beside(self, shown: Shown, actions: Sequence[str]) -> Markup:
        """The timeline, and the rules of safety that were broken."""
        context, truth = json.loads(shown.context), json.loads(shown.truth)
        kit = kit_name(context["domain"], context["tier"])
        moments, world = played(kit, msgspec.json.decode(truth["case"], type=World), actions)
        domain, _ = split_kit(kit)
        violations = domain.grade(world, msgspec.convert(truth, Truth)).violations
        return _TABLE.format(Markup("").join(map(_row, moments))) + Markup("").join(map(_broken, violations))


def played(kit: str, world: World, actions: Sequence[str]) -> tuple[list[Moment], World]:
    """The events of these replies, and the last world. A reply without a readable call leaves none."""
    known = instruments(kit)
    tools = tuple(one.tool for one in known.values())
    began, found = world.clock_min, list[Moment]()
    for turn, action in enumerate(actions, 1):
        call = parse(action, tools, "hermes" if OPEN in action else "python")
        if isinstance(call, Call):
            after = use(world, known[call.name], call.arguments).world
            new = after.events[len(world.events) :]
            found += [Moment(turn=turn, minutes=event.t_min - began, event=event) for event in new]
            world = after
    return found, world


def _row(one: Moment) -> Markup:
    refused = one.event.actor == AGENT and one.event.kind == REFUSED
    text = ", ".join(_arguments(one.event.payload))
    shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    name = f"{words(one.event.payload['tool'])}, refused" if refused else words(one.event.kind)
    who = "" if one.event.actor == AGENT else f" ({one.event.actor})"
    return Markup("<tr{}><td>{}</td><td>{}</td><td><strong>{}</strong>{} {}</td></tr>").format(
        Markup(' class="lacking"') if refused else "", one.minutes, one.turn, name, who, "" if refused else shown
    )


def _arguments(payload: dict[str, Any]) -> Iterator[str]:
    for name, value in payload.items():
        if name not in _WHO:
            yield f"{words(name)} {value if isinstance(value, str) else literal(value)}"


def _broken(one: Violation) -> Markup:
    return Markup('<p class="flag">{}, severity {}</p>').format(words(one.rule), one.severity)
