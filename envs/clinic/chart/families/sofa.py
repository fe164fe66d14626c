"""SOFA over 24 hours, from worst values in the window."""

from __future__ import annotations

import random
import re
from typing import Any

from envs.clinic.chart.chart import Chart
from envs.clinic.chart.codes import PRESSORS
from envs.clinic.chart.facts import Facts, add, add_mg_dl, blank, changes, changes_mg_dl
from envs.clinic.chart.family import Answer, Family, Question
from envs.clinic.chart.names import INFUSIONS, LABS, VITALS
from envs.clinic.chart.texts import DAY, HOUR, MOMENT, minute, moment
from envs.clinic.scores.organ_failure import SOFA

_ASKED = re.compile(rf"for the 24 hours up to {MOMENT}")
_GASES = (
    ((400, 480), (21, 30, 40)),
    ((300, 399), (21, 30, 40, 50)),
    ((200, 299), (30, 40, 50)),
    ((100, 199), (50, 60, 80)),
    ((65, 99), (80, 100)),
)
"""By points: PaO2 / FiO2 in mmHg, and FiO2 in % with which it is seen."""
_LAB_LEVELS = {"bilirubin": (0.6, 1.5, 3.0, 8.0, 13.0), "creatinine": (0.8, 1.5, 2.6, 4.2, 6.0)}
_PLATELETS = (220, 120, 75, 35, 15)
_GCS = (15, 14, 11, 8, 4)
_MAP = (85, 62)
_MISSING = 0.15
_WITHOUT_PRESSOR = 0.5


class Sofa(Family):
    """See the module."""

    name = "sofa"
    reads = (LABS, VITALS, INFUSIONS)
    rules = (
        "SOFA: of each part take the worst value in the window, both its ends included. A part without a value in "
        "the window "
        "counts 0. Oxygenation is PaO2 / FiO2 of one time. 1 mg/dL is 88.4 umol/L of creatinine and 17.1 umol/L of "
        "bilirubin; "
        "round to one decimal."
    )

    def draw(self, rng: random.Random) -> Facts:
        """Per part: a worst value inside the window, a better one, and worse ones before and after it."""
        facts = blank(self.name, rng)
        end = 2 * DAY + rng.randrange(4, 11) * HOUR
        facts["question"] = {"end": end}
        draft = _Draft(facts, end, rng)
        draft.gases()
        places = {code: draft.lab(code, levels) for code, levels in _LAB_LEVELS.items()}
        places["platelets"] = draft.counted("platelets", _PLATELETS)
        places["gcs"] = draft.counted("gcs", _GCS)
        draft.counted("map", _MAP)
        draft.pressor()
        changed = rng.choice([code for code, place in places.items() if place is not None] or ["bilirubin"])
        place = places[changed]
        if place is not None:
            draft.twin(changed, place)
        return facts

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return (
            f"What is the SOFA score of {hadm_id} for the 24 hours up to {moment(question['end'])}? Submit the points."
        )

    def heard(self, request: str) -> Question:
        """See `Family`."""
        found = _ASKED.search(request)
        assert found is not None, request
        return {"end": minute(*found.groups())}

    def solve(self, chart: Chart, question: Question) -> Answer:
        """See `Family`."""
        return Answer(value=SOFA(_inputs(chart, question["end"] - DAY, question["end"])).value)

    def careless(self, chart: Chart, question: Question) -> Answer:
        """Takes the worst of the whole stay."""
        return Answer(value=SOFA(_inputs(chart, 0, chart.start_min + 10 * DAY)).value)

    def calculator(self, chart: Chart, question: Question) -> tuple[str, dict[str, Any]]:
        """See `Family`."""
        given = _inputs(chart, question["end"] - DAY, question["end"])
        return SOFA.name, {name: value for name, value in given.items() if value is not None}


def _inputs(chart: Chart, first: int, last: int) -> dict[str, Any]:
    running = [row for drug in PRESSORS for row in chart.of(drug, first, last)]
    worst = max(running, key=lambda row: (_pressor_points(row.code, row.value), row.value), default=None)
    ratio, ventilated = _oxygenation(chart, first, last)
    return {
        "pf_ratio_mmhg": ratio,
        "ventilated": ventilated,
        "platelets_k_ul": _least(chart, "platelets", first, last),
        "bilirubin_mg_dl": max(chart.mg_dl("bilirubin", first, last), default=None),
        "map_mmhg": _least(chart, "map", first, last),
        "pressor": worst.code if worst else "none",
        "dose_ug_kg_min": worst.value if worst else None,
        "gcs": _least(chart, "gcs", first, last),
        "creatinine_mg_dl": max(chart.mg_dl("creatinine", first, last), default=None),
    }


def _pressor_points(drug: str, dose: float) -> int:
    given: dict[str, Any] = {"ventilated": False, "pressor": drug, "dose_ug_kg_min": dose}
    return SOFA(given).parts["circulation"]


def _oxygenation(chart: Chart, first: int, last: int) -> tuple[float | None, bool]:
    """The lowest ratio of a blood gas, and whether the patient was ventilated then."""
    fio2 = {row.t_min: row.value for row in chart.of("fio2", first, last)}
    gases = [(100 * row.value / fio2[row.t_min], row.t_min) for row in chart.of("pao2", first, last)]
    if not gases:
        return None, False
    ratio, t_min = min(gases)
    support = {row.t_min: row.value == 1 for row in chart.of("ventilated", first, last)}
    return round(ratio, 1), support.get(t_min, False)


def _least(chart: Chart, code: str, first: int, last: int) -> int | None:
    values = [int(row.value) for row in chart.of(code, first, last)]
    return min(values, default=None)


class _Draft:
    """Rows of one stay, around the window that ends at `end`."""

    def __init__(self, facts: Facts, end: int, rng: random.Random) -> None:
        self.facts, self.end, self.rng = facts, end, rng
        self.before, self.after = end - DAY, end

    def inside(self) -> int:
        """A time in the window; its ends are drawn too."""
        chosen = self.rng.choice((self.before, self.end, None, None, None, None))
        return self.before + 30 * self.rng.randrange(1, 47) if chosen is None else chosen

    def outside(self) -> int:
        """A time within four hours of the window."""
        minutes = self.rng.randrange(20, 4 * HOUR, 10)
        return self.rng.choice((self.before - minutes, self.after + minutes))

    def levels(self) -> tuple[int, int, int]:
        """Points of the worst value inside, of another inside, and of one outside, which is worse if any can be."""
        worst = self.rng.choice((0, 0, 1, 2, 3))
        return worst, self.rng.randint(0, worst), self.rng.randint(worst + 1, 4)

    def gases(self) -> None:
        """Two blood gases inside and a worse one outside, of a patient who is ventilated or is not."""
        ventilated = self.rng.choice((0, 1))
        worst, other, out = self.levels()
        for points, t_min in ((worst, self.inside()), (other, self.inside()), (out, self.outside())):
            if any(row[0] == t_min and row[1] == "pao2" for row in self.facts["rows"]):
                continue
            (low, high), oxygen = _GASES[points]
            fio2 = self.rng.choice(oxygen)
            pao2 = self.rng.randint(-(-low * fio2 // 100), high * fio2 // 100)
            add(self.facts, t_min, "pao2", pao2)
            add(self.facts, t_min, "fio2", fio2)
            add(self.facts, t_min, "ventilated", ventilated)

    def lab(self, code: str, levels: tuple[float, ...]) -> int | None:
        """A value in mg/dL or umol/L inside, one better inside, one outside; or none inside."""
        worst, other, out = self.levels()
        add_mg_dl(self.facts, self.rng, self.outside(), code, levels[out])
        if self.rng.random() < _MISSING:
            return None
        add_mg_dl(self.facts, self.rng, self.inside(), code, levels[other])
        return add_mg_dl(self.facts, self.rng, self.inside(), code, levels[worst])

    def counted(self, code: str, levels: tuple[int, ...]) -> int | None:
        """The same of a number in one unit."""
        worst, other, out = (min(points, len(levels) - 1) for points in self.levels())
        add(self.facts, self.outside(), code, levels[out])
        if self.rng.random() < _MISSING:
            return None
        add(self.facts, self.inside(), code, levels[other])
        return add(self.facts, self.inside(), code, levels[worst])

    def pressor(self) -> None:
        """As often as not one that runs inside, sometimes at a higher dose outside."""
        if self.rng.random() < _WITHOUT_PRESSOR:
            return
        drug = self.rng.choice(PRESSORS)
        low, high = {"norepinephrine": (0.06, 0.2), "epinephrine": (0.06, 0.2)}.get(drug, (4.0, 18.0))
        add(self.facts, self.inside(), drug, low)
        add(self.facts, self.outside(), drug, high)

    def twin(self, code: str, place: int) -> None:
        """The worst value gets other points."""
        if code in _LAB_LEVELS:
            changes_mg_dl(self.facts, place, self.rng.choice(_LAB_LEVELS[code]))
        else:
            levels = {"platelets": _PLATELETS, "gcs": _GCS}[code]
            changes(self.facts, ["rows", place, 2], self.rng.choice(levels))
