"""Charts that the tests of this folder share, drawn or written by hand."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache
from typing import Any

from envs.clinic.chart.codes import CODES
from envs.clinic.chart.domain import Chart
from envs.clinic.chart.facts import Facts, blank
from envs.clinic.chart.texts import DAY, HOUR
from envs.clinic.domain import Case, Plan
from envs.clinic.instruments import Instrument, use
from envs.clinic.world import World, as_json
from envs.clinic_checker.chart.checker import disagreement
from envs.contract.calls import Call, parse, render

DOMAIN = Chart()
STAY = "H7"
END = 2 * DAY + 8 * HOUR
"""The end of the windows of charts written by hand: day 3 08:00."""
TOOLS: dict[str, Instrument] = {one.tool.name: one for one in DOMAIN.instruments("full")}
Rows = Iterable[tuple[Any, ...]]


@cache
def drawn(kind: str, seed: int, twin: int = 0) -> Case:
    """A case of the generator."""
    parameters = Chart((kind,)).draw("full", random.Random(f"{kind} {seed}"))
    return DOMAIN.make("full", parameters, twin)


def written(kind: str, rows: Rows = (), question: dict[str, Any] | None = None, **more: Any) -> Facts:
    """Facts of a man of 60 years and 80 kg with these rows (minute, code, value, unit?), without a real twin."""
    facts = blank(kind, random.Random(0))
    facts |= {"age": 60, "sex": "male", "weight_kg": 80.0, "patient": "P5", "hadm": STAY, "start_min": 0}
    facts["rows"] = [[row[0], row[1], row[2], row[3] if len(row) > 3 else CODES[row[1]].unit] for row in rows]
    return {**facts, "question": question or {}, "twin": {"path": ["reason"], "to": "fever"}, **more}


def answer_of(facts: Facts) -> dict[str, Any]:
    """The label; the checker must find the same, and dispute one that is a little more."""
    case = DOMAIN.make("full", facts, 0)
    context = {"request": case.request, "world": as_json(case.world)}
    answer: dict[str, Any] = as_json(case.truth)["answer"]
    assert disagreement(context, answer) is None
    other = f"{answer['expected']}1" if isinstance(answer["expected"], str) else answer["expected"] + 1
    assert disagreement(context, {**answer, "expected": other}) is not None
    return answer


def expected(kind: str, rows: Rows, question: dict[str, Any], **more: Any) -> float | str:
    """The value of the label of facts written by hand."""
    value: float | str = answer_of(written(kind, rows, question, **more))["expected"]
    return value


def write(tool: str, **arguments: Any) -> str:
    """A reply with this call."""
    return render(Call(name=tool, arguments=arguments))


def played(case: Case, plan: Plan) -> tuple[World, list[tuple[str, str]]]:
    """The world after a policy's episode, and what was said and answered."""
    world, log = case.world, list[tuple[str, str]]()
    play = plan(f"{DOMAIN.instructions('full')}\n{case.request}", write)
    said = next(play)
    for _ in range(DOMAIN.turns):
        call = parse(said, [one.tool for one in TOOLS.values()])
        assert isinstance(call, Call), (said, call)
        used = use(world, TOOLS[call.name], call.arguments)
        world = used.world
        log.append((said, used.text))
        if TOOLS[call.name].ends and not used.refused:
            break
        try:
            said = play.send(used.text)
        except StopIteration:
            break
    return world, log
