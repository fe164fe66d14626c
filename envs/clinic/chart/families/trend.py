"""Trends in a window: clearance of lactate, fluid balance, the largest rise of sodium."""

from __future__ import annotations

import random
import re

from envs.clinic.chart.chart import Chart
from envs.clinic.chart.codes import INTAKE, OUTPUT
from envs.clinic.chart.facts import Facts, add, blank, changes
from envs.clinic.chart.family import Answer, Family, Question
from envs.clinic.chart.names import FLUIDS, LABS
from envs.clinic.chart.texts import DAY, HOUR, MOMENT, minute, moment

_WINDOW = re.compile(rf"from {MOMENT} to {MOMENT}")
_NEAR_HALF = 0.05
_WINDOW_RULE = "Both ends of the window are included."


class _Windowed(Family):
    """A question about a window of 12 or 24 hours."""

    def draw(self, rng: random.Random) -> Facts:
        """See `Family`."""
        facts = blank(self.name, rng)
        first = DAY + rng.randrange(0, 9) * HOUR
        last = first + rng.choice((12, 24)) * HOUR
        facts["question"] = {"first": first, "last": last}
        self.fill(facts, first, last, rng)
        return facts

    def fill(self, facts: Facts, first: int, last: int, rng: random.Random) -> None:
        """Rows and the twin's change."""
        raise NotImplementedError

    def heard(self, request: str) -> Question:
        """See `Family`."""
        found = _WINDOW.search(request)
        assert found is not None, request
        numbers = found.groups()
        return {"first": minute(*numbers[:3]), "last": minute(*numbers[3:])}

    def solve(self, chart: Chart, question: Question) -> Answer:
        """See `Family`."""
        return Answer(value=self.measure(chart, question["first"], question["last"]))

    def careless(self, chart: Chart, question: Question) -> Answer:
        """Takes the whole stay."""
        return Answer(value=self.measure(chart, 0, None))

    def measure(self, chart: Chart, first: int, last: int | None) -> float:
        """What is asked for."""
        raise NotImplementedError


def _times(first: int, last: int, count: int, rng: random.Random) -> list[int]:
    """Times inside, of which the first and the last are often the ends, and one before and after."""
    inside = sorted(rng.sample(range(first + 30, last - 29, 30), count - 2))
    begin = rng.choice((first, first + 15))
    end = rng.choice((last, last - 15))
    return [first - rng.randrange(20, 240, 20), begin, *inside, end, last + rng.randrange(20, 240, 20)]


class Clearance(_Windowed):
    """Lactate clearance (Nguyen et al., Crit Care Med 2004;32:1637)."""

    name = "lactate"
    reads = (LABS,)
    rules = f"Lactate clearance: (first - last) / first of the window, in percent. {_WINDOW_RULE}"

    def fill(self, facts: Facts, first: int, last: int, rng: random.Random) -> None:
        """See `_Windowed`."""
        values = [rng.randint(15, 90) / 10 for _ in range(6)]
        places = [add(facts, t, "lactate", value) for t, value in zip(_times(first, last, 4, rng), values, strict=True)]
        changes(facts, ["rows", rng.choice((places[1], places[-2])), 2], rng.randint(15, 90) / 10)

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return (
            f"What is the lactate clearance of {hadm_id} from {moment(question['first'])} to "
            f"{moment(question['last'])}? "
            "Submit a whole number of percent, negative where lactate rose."
        )

    def measure(self, chart: Chart, first: int, last: int | None) -> float:
        """See `_Windowed`. Raises ValueError where rounding could go either way."""
        tenths = [round(10 * row.value) for row in chart.of("lactate", first, last)]
        value = 100 * (tenths[0] - tenths[-1]) / tenths[0]
        if last is not None and abs(value % 1 - 0.5) < _NEAR_HALF:
            raise ValueError("too near to a half")
        return round(value)


class Balance(_Windowed):
    """Fluids in, less fluids out."""

    name = "balance"
    reads = (FLUIDS,)
    rules = f"Fluid balance: {' and '.join(INTAKE)} less {' and '.join(OUTPUT)}, of rows in the window. {_WINDOW_RULE}"

    def fill(self, facts: Facts, first: int, last: int, rng: random.Random) -> None:
        """See `_Windowed`."""
        places = []
        for code in (*INTAKE, *OUTPUT):
            times = _times(first, last, 3, rng)
            places += [add(facts, t, code, rng.randrange(50, 900, 10)) for t in times][1:-1]
        changes(facts, ["rows", rng.choice(places), 2], rng.randrange(50, 900, 10))

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return (
            f"What is the fluid balance of {hadm_id} from {moment(question['first'])} to {moment(question['last'])}? "
            "Submit mL."
        )

    def measure(self, chart: Chart, first: int, last: int | None) -> float:
        """See `_Windowed`."""
        gained = sum(row.value for code in INTAKE for row in chart.of(code, first, last))
        return gained - sum(row.value for code in OUTPUT for row in chart.of(code, first, last))


class Rise(_Windowed):
    """How much sodium rose."""

    name = "sodium"
    reads = (LABS,)
    rules = (
        f"Rise of sodium: the largest difference of a value and an earlier one, 0 where none is higher. {_WINDOW_RULE}"
    )

    def fill(self, facts: Facts, first: int, last: int, rng: random.Random) -> None:
        """See `_Windowed`."""
        times = _times(first, last, 4, rng)
        values = [rng.randint(112, 118), *(rng.randint(114, 134) for _ in times[1:-1]), rng.randint(132, 142)]
        places = [add(facts, t, "sodium", value) for t, value in zip(times, values, strict=True)]
        changes(facts, ["rows", rng.choice(places[1:-1]), 2], rng.randint(114, 134))

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return (
            f"By how much did the sodium of {hadm_id} rise from {moment(question['first'])} to "
            f"{moment(question['last'])}? Submit mmol/L."
        )

    def measure(self, chart: Chart, first: int, last: int | None) -> float:
        """See `_Windowed`."""
        values = [row.value for row in chart.of("sodium", first, last)]
        return max([0.0, *(later - one for place, one in enumerate(values) for later in values[place:])])
