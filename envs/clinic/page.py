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
from envs.clinic.page_case import answer_lines, lines_of
from envs.clinic.world import AGENT, REFUSED, Event, World, world_of
from envs.contract.call_text import OPEN, literal
from envs.contract.calls import Call, parse
from envs.contract.page_view import Shown, words
from envs.contract.turns_view import TurnsView

LONGEST = 90
"""Characters of an event's arguments that are shown."""
MOST_LINES = 24
"""Of a case; one of more is folded."""
_TABLE = Markup(
    '<table class="timeline"><caption>Events</caption><thead><tr><th>min</th><th>turn</th><th>event</th></tr></thead>'
    "<tbody>{}</tbody></table>"
)
_NOTHING = Markup('<p class="small">No event: no reply came to anything.</p>')
_FOLDED = Markup("<details><summary>what can be found out ({} lines)</summary>{}</details>")
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
        lines = lines_of(world_of(context["world"]))
        known = Markup("<pre>{}</pre>").format("\n".join(lines))
        answer = "\n".join(answer_lines(truth["answer"]))
        return Markup("<p>{}</p>{}<h3>Answer</h3><pre>{}</pre>").format(
            context["request"], known if len(lines) <= MOST_LINES else _FOLDED.format(len(lines), known), answer
        )

    def standing(self, reason: str, reward: float, solved: bool) -> str:
        """A wrong or unsafe episode may earn a little for its form."""
        return "bad" if reason in ("wrong", "unsafe") else super().standing(reason, reward, solved)

    def beside(self, shown: Shown, actions: Sequence[str]) -> Markup:
        """The timeline, and the rules of safety that were broken."""
        context, truth = json.loads(shown.context), json.loads(shown.truth)
        kit = kit_name(context["domain"], context["tier"])
        moments, world = played(kit, msgspec.json.decode(truth["case"], type=World), actions)
        domain, _ = split_kit(kit)
        violations = domain.grade(world, msgspec.convert(truth, Truth)).violations
        timeline = _TABLE.format(Markup("").join(map(_row, moments))) if moments else _NOTHING
        return timeline + Markup("").join(map(_broken, violations))


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
            yield f"{words(name)} {_shown(value)}"


def _shown(value: Any) -> str:
    """As a call has it, but texts without quotes."""
    if isinstance(value, list):
        return " ".join(map(_shown, value)) or "none"
    return value if isinstance(value, str) else literal(value)


def _broken(one: Violation) -> Markup:
    return Markup('<p class="flag">{}, severity {}</p>').format(words(one.rule), one.severity)
