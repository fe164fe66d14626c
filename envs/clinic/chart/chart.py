"""A stay's chart as a solver reads it, from the world or from the answers of tools."""

from __future__ import annotations

from common.records import Record
from envs.clinic.chart.codes import in_mg_dl
from envs.clinic.chart.texts import Row
from envs.clinic.world import World


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
        return [
            row
            for row in sorted(self.rows, key=lambda one: one.t_min)
            if row.code == code and first <= row.t_min and (last is None or row.t_min <= last)
        ]

    def mg_dl(self, code: str, first: int = 0, last: int | None = None) -> list[float]:
        """The values of a code in a window in mg/dL, oldest first."""
        return [in_mg_dl(code, row.value, row.unit) for row in self.of(code, first, last)]


def chart_of(world: World, hadm_id: str) -> Chart:
    """The chart of a stay of this world."""
    admission = world.admission(hadm_id)
    assert admission is not None, hadm_id
    patient = world.patient(admission.patient_id)
    assert patient is not None, admission
    of_stay = [one for one in patient.readings if one.hadm_id == hadm_id and one.t_min <= world.clock_min]
    return Chart(
        age=patient.years,
        sex=patient.sex,
        weight_kg=patient.weight_kg,
        start_min=admission.start_min,
        problems=tuple(one.code for one in patient.problems),
        allergies=tuple(one.substance for one in patient.allergies),
        home=tuple(one.drug for one in patient.medications if not one.hadm_id),
        orders=tuple(
            Order(drug=one.drug, t_min=one.start_min, goes_on=one.stop_min is None)
            for one in patient.medications
            if one.hadm_id == hadm_id
        ),
        notes=tuple((one.kind, one.text) for one in world.documents if one.patient_id == patient.patient_id),
        rows=tuple(Row(t_min=one.t_min, code=one.code, value=one.value, unit=one.unit) for one in of_stay),
    )
