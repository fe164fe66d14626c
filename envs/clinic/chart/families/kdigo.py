"""KDIGO stage of acute kidney injury at a time, by creatinine and urine."""

from __future__ import annotations

import random
import re
from typing import Any

from envs.clinic.chart.chart import Chart
from envs.clinic.chart.facts import Facts, add, add_mg_dl, blank, changes, changes_mg_dl
from envs.clinic.chart.family import Answer, Family, Question
from envs.clinic.chart.names import FLUIDS, LABS, STAY
from envs.clinic.chart.texts import DAY, HOUR, MOMENT, minute, moment
from envs.clinic.scores.kidney import KDIGO
from envs.clinic.scores.score import exact

_ASKED = re.compile(rf"at {MOMENT}")
_RATES = (0.0, 0.15, 0.35, 0.75, 1.2)
"""mL/kg/h; no two of them have a mean near 0.5."""


class Kdigo(Family):
    """See the module."""

    name = "kdigo"
    reads = (STAY, LABS, FLUIDS)
    rules = (
        "KDIGO stage: baseline is the lowest creatinine of the 7 days up to the time, both ends included; current is "
        "the last one; "
        "the rise is current less the lowest of the last 48 hours. Each urine row is the volume of the 6 hours "
        "before it: take the "
        "last two, by weight. No dialysis. 1 mg/dL of creatinine is 88.4 umol/L; round to one decimal."
    )

    def draw(self, rng: random.Random) -> Facts:
        """Creatinine over nine days, with a lower one before the seven days, and others after the time."""
        facts = blank(self.name, rng, days=10)
        at = 9 * DAY + rng.randrange(2, 9) * HOUR
        facts["question"] = {"at": at}
        before = rng.choice((0.6, 0.7, 0.8, 0.9, 1.1))
        baseline = round(before + rng.choice((0.2, 0.3, 0.5)), 1)
        current = round(baseline * rng.choice((1.0, 1.2, 1.4, 1.6, 1.9, 2.2, 2.6, 3.2)) + rng.choice((0, 0.1)), 1)
        add_mg_dl(facts, rng, at - 7 * DAY - rng.randrange(1, 12) * HOUR, "creatinine", before)
        lowest = add_mg_dl(facts, rng, at - rng.choice((7 * DAY, 6 * DAY, 5 * DAY)), "creatinine", baseline)
        middle = round(baseline + (current - baseline) * rng.choice((0.0, 0.3, 0.8)), 1)
        add_mg_dl(facts, rng, at - rng.choice((47, 30, 48)) * HOUR, "creatinine", middle)
        now = add_mg_dl(facts, rng, at - rng.choice((0, 30, 90)), "creatinine", current)
        add_mg_dl(facts, rng, at + rng.randrange(1, 8) * HOUR, "creatinine", round(current * rng.choice((0.7, 1.6)), 1))
        urine = self._urine(facts, at, rng)
        changed = rng.choice(("lowest", "now", "urine"))
        if changed == "urine":
            changes(facts, ["rows", urine, 2], self._volume(facts, rng.choice(_RATES), 6))
        else:
            to = round((current if changed == "now" else baseline) * rng.choice((0.5, 0.7, 1.3, 2.0)), 1)
            changes_mg_dl(facts, lowest if changed == "lowest" else now, to)
        return facts

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return (
            f"Which KDIGO stage of acute kidney injury does {hadm_id} have at {moment(question['at'])}? "
            "Submit 0 (none), 1, 2 or 3."
        )

    def heard(self, request: str) -> Question:
        """See `Family`."""
        found = _ASKED.search(request)
        assert found is not None, request
        return {"at": minute(*found.groups())}

    def solve(self, chart: Chart, question: Question) -> Answer:
        """See `Family`."""
        return Answer(value=KDIGO(_inputs(chart, question["at"] - 7 * DAY, question["at"])).value)

    def careless(self, chart: Chart, question: Question) -> Answer:
        """Compares the last creatinine of the stay with its lowest."""
        return Answer(value=KDIGO(_inputs(chart, 0, chart.start_min + 30 * DAY)).value)

    def calculator(self, chart: Chart, question: Question) -> tuple[str, dict[str, Any]]:
        """See `Family`."""
        return KDIGO.name, _inputs(chart, question["at"] - 7 * DAY, question["at"])

    @staticmethod
    def _volume(facts: Facts, rate: float, hours: int) -> int:
        weight_kg: float = facts["weight_kg"]
        return round(rate * weight_kg * hours)

    def _urine(self, facts: Facts, at: int, rng: random.Random) -> int:
        """Six-hourly volumes: enough before the last twelve hours, one rate within, another after."""
        end = at - rng.choice((0, 60))
        within, after = rng.choice(_RATES), rng.choice(_RATES)
        for back in (5, 4, 3, 2):
            add(facts, end - back * 6 * HOUR, "urine", self._volume(facts, rng.choice((0.9, 1.1)), 6))
        add(facts, end - 6 * HOUR, "urine", self._volume(facts, within, 6))
        last = add(facts, end, "urine", self._volume(facts, within, 6))
        add(facts, end + 6 * HOUR, "urine", self._volume(facts, after, 6))
        return last


def _inputs(chart: Chart, first: int, at: int) -> dict[str, Any]:
    values = chart.mg_dl("creatinine", first, at)
    recent = min(chart.mg_dl("creatinine", at - 2 * DAY, at), default=values[-1])
    urine = chart.of("urine", 0, at)[-2:]
    rate = sum(row.value for row in urine) / chart.weight_kg / 12
    return {
        "baseline_mg_dl": min(values),
        "current_mg_dl": values[-1],
        "rise_48h_mg_dl": max(0.0, float(exact(values[-1]) - exact(recent))),
        "dialysis": False,
        "urine_ml_kg_h": round(rate, 2),
        "urine_hours": 12,
    }
