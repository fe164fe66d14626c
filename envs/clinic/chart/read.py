"""A chart from the answers of tools, as a careful policy reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envs.clinic.chart.chart import Chart, Order
from envs.clinic.chart.names import ALLERGIES, FLUIDS, HOME, INFUSIONS, LABS, NOTES, ORDERS, PROBLEMS, STAY, VITALS
from envs.clinic.chart.texts import MOMENT, minute, rows_of

_STAY = re.compile(rf"age (\d+), (female|male), ([\d.]+) kg, .* Admitted {MOMENT},")
_PROBLEM = re.compile(r"^([A-Z]\d\d\S*) ", re.MULTILINE)
_ALLERGY = re.compile(r"^allergy to ([^:]+):", re.MULTILINE)
_HOME = re.compile(r"^([a-z_]+) [\d.]+ mg ", re.MULTILINE)
_ORDER = re.compile(rf"^{MOMENT} (\w+) .*, (goes on|stopped .*)$", re.MULTILINE)
_NOTE = re.compile(rf"^{MOMENT} (\w+): (.*)$", re.MULTILINE)


def chart_of_answers(answers: Mapping[str, str]) -> Chart:
    """The chart of what each tool answered, by its name; what was not asked for is empty."""
    stay = _STAY.search(answers.get(STAY, ""))
    age, sex, weight, *admitted = stay.groups() if stay else ("0", "", "0", "1", "00", "00")
    return Chart(
        age=int(age),
        sex=sex,
        weight_kg=float(weight),
        start_min=minute(*admitted),
        problems=tuple(_PROBLEM.findall(answers.get(PROBLEMS, ""))),
        allergies=tuple(_ALLERGY.findall(answers.get(ALLERGIES, ""))),
        home=tuple(_HOME.findall(answers.get(HOME, ""))),
        orders=tuple(
            Order(drug=drug, t_min=minute(*at), goes_on=state == "goes on")
            for *at, drug, state in _ORDER.findall(answers.get(ORDERS, ""))
        ),
        notes=tuple((kind, text) for *_, kind, text in _NOTE.findall(answers.get(NOTES, ""))),
        rows=tuple(row for tool in (LABS, VITALS, INFUSIONS, FLUIDS) for row in rows_of(answers.get(tool, ""))),
    )
