"""A stay's chart as a solver reads it: from a generator's facts, or from the answers of tools."""

from __future__ import annotations

from common.records import Record
from envs.clinic.chart.codes import in_mg_dl
from envs.clinic.chart.texts import Row


class Order(Record):
    """A drug that was ordered in the stay. `goes_on`: its order has no stop."""

    drug: str
    t_min: int
    goes_on: bool


class Chart(Record):
    """What is known of a stay. `notes` are (kind, text)."""

    age: int
    sex: str
    weight_kg: float
    start_min: int
    problems: tuple[str, ...]
    allergies: tuple[str, ...]
    home: tuple[str, ...]
    orders: tuple[Order, ...]
    notes: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]

    def of(self, code: str, first: int = 0, last: int | None = None) -> list[Row]:
        """The rows of a code in a window, both ends included, oldest first."""
        inside = (row for row in self.rows if row.code == code and first <= row.t_min)
        return sorted((row for row in inside if last is None or row.t_min <= last), key=_time)

    def mg_dl(self, code: str, first: int = 0, last: int | None = None) -> list[float]:
        """The values of a code in a window in mg/dL, oldest first."""
        return [in_mg_dl(code, row.value, row.unit) for row in self.of(code, first, last)]


def _time(row: Row) -> int:
    return row.t_min
