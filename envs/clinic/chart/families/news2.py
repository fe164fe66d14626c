"""NEWS2 of the last complete set of observations at a time."""

from __future__ import annotations

import random
import re
from typing import Any

from envs.clinic.chart.chart import Chart
from envs.clinic.chart.codes import CONSCIOUSNESS
from envs.clinic.chart.facts import Facts, add, blank, changes
from envs.clinic.chart.family import Answer, Family, Question
from envs.clinic.chart.names import PROBLEMS, VITALS
from envs.clinic.chart.texts import DAY, HOUR, MOMENT, minute, moment
from envs.clinic.scores.bedside import NEWS2

_ASKED = re.compile(rf"that was complete at {MOMENT}")
_CODES = ("rr", "spo2", "oxygen", "sbp", "pulse", "temp", "consciousness")
HYPERCAPNIC = ("J96.12", "Chronic respiratory failure with hypercapnia")
_OTHER_LUNGS = (
    ("J44.9", "COPD, unspecified"),
    ("J45.909", "Asthma, unspecified"),
    ("J96.11", "Chronic respiratory failure with hypoxia"),
)
_RANGES = {
    "rr": ((12, 20), (9, 11), (21, 24), (25, 34), (6, 8)),
    "spo2": ((96, 99), (94, 95), (92, 93), (88, 91), (84, 87)),
    "sbp": ((111, 170), (101, 110), (91, 100), (70, 90)),
    "pulse": ((51, 90), (91, 110), (41, 50), (111, 130), (131, 160)),
    "temp": ((361, 380), (381, 390), (351, 360), (391, 405), (340, 350)),
}
"""By code, the usual range first; temperatures in tenths."""
_USUAL = 0.55


class News2(Family):
    """See the module."""

    name = "news2"
    reads = (VITALS, PROBLEMS)
    rules = (
        "NEWS2: use one set of observations, all of the same time: rr, spo2, oxygen, sbp, pulse, temp and "
        "consciousness. A set "
        "that lacks one of them is not complete. SpO2 scale 2 only where hypercapnic respiratory failure is on the "
        "problem list."
    )

    def draw(self, rng: random.Random) -> Facts:
        """A complete set at the time or before it, one without a value after that, one complete after the time."""
        facts = blank(self.name, rng)
        asked = DAY + rng.randrange(6, 20) * HOUR
        facts["question"] = {"at": asked}
        facts["problems"] = [
            rng.choice((HYPERCAPNIC, *_OTHER_LUNGS)),
            rng.choice((("I10", "Hypertension"), ("E78.5", "Hyperlipidaemia"))),
        ]
        used = asked - rng.choice((0, 90, 120))
        _observed(facts, rng, used - rng.choice((240, 300)))
        first = len(facts["rows"])
        _observed(facts, rng, used)
        if used < asked:
            _observed(facts, rng, used + rng.choice((30, 60)), without=rng.choice(_CODES))
        _observed(facts, rng, asked + rng.choice((20, 60, 120)))
        code = rng.choice(("rr", "sbp", "pulse", "temp", "spo2", "oxygen", "consciousness"))
        place = first + _CODES.index(code)
        changes(facts, ["rows", place, 2], _other(code, facts["rows"][place][2], rng))
        return facts

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return (
            f"What is the NEWS2 of {hadm_id} by the last set of observations that was complete at "
            f"{moment(question['at'])}? Submit the points."
        )

    def heard(self, request: str) -> Question:
        """See `Family`."""
        found = _ASKED.search(request)
        assert found is not None, request
        return {"at": minute(*found.groups())}

    def solve(self, chart: Chart, question: Question) -> Answer:
        """See `Family`."""
        result = NEWS2(_inputs(chart, question["at"], complete=True))
        return Answer(value=result.value)

    def careless(self, chart: Chart, question: Question) -> Answer:
        """Takes the newest values of all."""
        return Answer(value=NEWS2(_inputs(chart, chart.start_min + 10 * DAY, complete=False)).value)

    def calculator(self, chart: Chart, question: Question) -> tuple[str, dict[str, Any]]:
        """See `Family`."""
        return NEWS2.name, _inputs(chart, question["at"], complete=True)


def _inputs(chart: Chart, at: int, complete: bool) -> dict[str, Any]:
    values: dict[str, dict[int, float]] = {
        code: {row.t_min: row.value for row in chart.of(code, 0, at)} for code in _CODES
    }
    if complete:
        time = max(set.intersection(*(set(found) for found in values.values())))
        chosen = {code: found[time] for code, found in values.items()}
    else:
        chosen = {code: found[max(found)] for code, found in values.items()}
    return {
        "rr": int(chosen["rr"]),
        "spo2_percent": int(chosen["spo2"]),
        "scale": 2 if HYPERCAPNIC[0] in chart.problems else 1,
        "oxygen": chosen["oxygen"] == 1,
        "sbp_mmhg": int(chosen["sbp"]),
        "pulse": int(chosen["pulse"]),
        "avpu": CONSCIOUSNESS[int(chosen["consciousness"])],
        "temp_c": chosen["temp"],
    }


def _observed(facts: Facts, rng: random.Random, t_min: int, without: str = "") -> None:
    values: dict[str, float] = {code: _drawn(code, rng) for code in _RANGES}
    values["oxygen"] = int(rng.random() < 0.3)
    values["consciousness"] = 0 if rng.random() < 0.8 else rng.randrange(1, len(CONSCIOUSNESS))
    for code in _CODES:
        if code != without:
            add(facts, t_min, code, values[code])


def _drawn(code: str, rng: random.Random) -> float:
    usual, *others = _RANGES[code]
    low, high = usual if rng.random() < _USUAL else rng.choice(others)
    number = rng.randint(low, high)
    return number / 10 if code == "temp" else number


def _other(code: str, value: float, rng: random.Random) -> float:
    """A value of another range."""
    if code == "oxygen":
        return 1 - value
    if code == "consciousness":
        return 0 if value else rng.randrange(1, len(CONSCIOUSNESS))
    scale = 10 if code == "temp" else 1
    low, high = rng.choice([one for one in _RANGES[code] if not one[0] <= round(value * scale) <= one[1]])
    number = rng.choice((low, high))
    return number / 10 if code == "temp" else number
