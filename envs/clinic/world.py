"""The clinic's world: frozen, with a clock, one space of ids, and events.

Times are minutes since the world's midnight, `clock_min` is now. What is recorded lies in the past: rows with a later
`t_min` do not exist. `events` are what was done, in order; rewards and safety rules read them and nothing else, so
that words about an action never count as the action.

Who adds a domain: ids begin with `P` (patients), `H` (admissions), `D` (documents), each once in the world; a new kind
of row is a Record with a `t_min`, in a tuple of the World, empty by default. No field may be called like one of
`envs.clinic.domain.Truth`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from common.records import Record

AGENT, HOUSE = "agent", "house"
"""Who acts in an event: the policy, or the clinic (what follows from an action without the policy)."""
REFUSED = "refused"
"""The kind of an event in which a call came to nothing, as with an id that does not exist."""
MONTHS = 12


class Event(Record):
    """Something that was done. `kind` is the tool's name for the agent's; `payload` its arguments, JSON."""

    t_min: int
    actor: str
    kind: str
    payload: dict[str, Any] = {}

    def is_(self, kind: str, **payload: Any) -> bool:
        """Whether it is of this kind, with at least this payload."""
        return self.kind == kind and all(self.payload.get(name) == value for name, value in payload.items())


class Allergy(Record):
    """A recorded allergy. `drug_class` as in `envs.clinic.drugs`, empty for no drug."""

    substance: str
    drug_class: str = ""
    reaction: str = ""


class Medication(Record):
    """A drug that is taken or ordered: dose in mg, interval in hours; `stop_min` None where it goes on."""

    drug: str
    dose_mg: float
    route: str
    every_h: float
    start_min: int = 0
    stop_min: int | None = None
    hadm_id: str = ""

    def active(self, at_min: int) -> bool:
        """Whether it is taken at that time."""
        return self.start_min <= at_min and (self.stop_min is None or at_min < self.stop_min)


class Problem(Record):
    """A problem of the list, coded in ICD-10-CM."""

    code: str
    name: str


class Reading(Record):
    """One measured value: a vital sign, a laboratory value, an intake or an output. `hadm_id` empty outside a stay."""

    t_min: int
    code: str
    value: float
    unit: str
    hadm_id: str = ""


class Said(Record):
    """What is known of a patient by asking or looking: `part` says how it is found, `text` is the answer."""

    part: str
    topic: str
    text: str


class Course(Record):
    """How a reading goes on after its last recorded value, per hour, within bounds, until an event of a kind `eased_by`
    by the agent, and from then on."""

    code: str
    per_hour: float
    low: float
    high: float
    eased_by: tuple[str, ...] = ()
    eased_per_hour: float = 0.0


class Patient(Record):
    """A patient. Age in months, so that infants have one; weight kg, height cm; weeks of pregnancy, None for none."""

    patient_id: str
    age_months: int
    sex: str
    weight_kg: float
    height_cm: float
    pregnant_weeks: int | None = None
    allergies: tuple[Allergy, ...] = ()
    problems: tuple[Problem, ...] = ()
    medications: tuple[Medication, ...] = ()
    readings: tuple[Reading, ...] = ()
    courses: tuple[Course, ...] = ()
    said: tuple[Said, ...] = ()

    @property
    def years(self) -> int:
        """Completed years."""
        return self.age_months // MONTHS

    def allergic_to(self, drug_class: str) -> bool:
        """Whether an allergy to this class is recorded."""
        return bool(drug_class) and any(one.drug_class == drug_class for one in self.allergies)

    def answer(self, part: str, topic: str) -> str | None:
        """What is found there; None for nothing."""
        return next((one.text for one in self.said if (one.part, one.topic) == (part, topic)), None)


class Admission(Record):
    """A stay. `end_min` None while it goes on."""

    hadm_id: str
    patient_id: str
    start_min: int
    reason: str
    end_min: int | None = None


class Bed(Record):
    """A bed of an area."""

    area: str
    number: int
    taken: bool = False


class Document(Record):
    """A text of a chart or of the library (`patient_id` empty)."""

    doc_id: str
    kind: str
    t_min: int
    text: str
    patient_id: str = ""


class World(Record):
    """All that can be found out or changed."""

    clock_min: int
    patients: tuple[Patient, ...]
    admissions: tuple[Admission, ...] = ()
    beds: tuple[Bed, ...] = ()
    documents: tuple[Document, ...] = ()
    events: tuple[Event, ...] = ()

    def patient(self, patient_id: str) -> Patient | None:
        """None when there is no such patient."""
        return next((one for one in self.patients if one.patient_id == patient_id), None)

    def admission(self, hadm_id: str) -> Admission | None:
        """None when there is no such stay."""
        return next((one for one in self.admissions if one.hadm_id == hadm_id), None)

    def later(self, minutes: int) -> World:
        """The same world with its clock moved on."""
        return msgspec.structs.replace(self, clock_min=self.clock_min + minutes)

    def noting(self, kind: str, actor: str = HOUSE, **payload: Any) -> World:
        """With one more event, now."""
        event = Event(t_min=self.clock_min, actor=actor, kind=kind, payload=payload)
        return msgspec.structs.replace(self, events=(*self.events, event))

    def with_patient(self, patient: Patient) -> World:
        """With this patient in the place of the one of the same id."""
        patients = tuple(patient if one.patient_id == patient.patient_id else one for one in self.patients)
        return msgspec.structs.replace(self, patients=patients)

    def done(self, kind: str, **payload: Any) -> Iterator[Event]:
        """The agent's events of this kind that have at least this payload, in order."""
        return (one for one in self.events if one.actor == AGENT and one.is_(kind, **payload))

    def readings(self, patient_id: str, code: str, from_min: int | None = None) -> list[Reading]:
        """The recorded values of a code up to now, oldest first; of one time in the order of the rows."""
        patient = self.patient(patient_id)
        rows = patient.readings if patient else ()
        found = [one for one in rows if one.code == code and (from_min or 0) <= one.t_min <= self.clock_min]
        return sorted(found, key=lambda one: one.t_min)

    def current(self, patient_id: str, code: str) -> float | None:
        """What is measured now: the last recorded value, moved along its course. None where it never was recorded."""
        rows = self.readings(patient_id, code)
        if not rows:
            return None
        patient = self.patient(patient_id)
        assert patient is not None
        course = next((one for one in patient.courses if one.code == code), None)
        return rows[-1].value if course is None else self._moved(course, rows[-1], patient_id)

    def _moved(self, course: Course, last: Reading, patient_id: str) -> float:
        """Two straight lines with the treatment between them, cut at the bounds."""
        treated = [one.t_min for kind in course.eased_by for one in self.done(kind, patient_id=patient_id)]
        turn = min([*(at for at in treated if at >= last.t_min), self.clock_min])
        value = last.value + course.per_hour * (turn - last.t_min) / 60
        value += course.eased_per_hour * (self.clock_min - turn) / 60
        return min(course.high, max(course.low, value))


def as_json(record: Record) -> dict[str, Any]:
    """A record as JSON reads it, with lists for tuples."""
    content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return content


def world_of(content: dict[str, Any]) -> World:
    """The world of a task's context."""
    return msgspec.convert(content, World)
