from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.clinic.instruments import PATIENT_ID, Instrument, Used, about, use
from envs.clinic.world import REFUSED, Course, Medication, Patient, Reading, World, as_json, world_of
from envs.contract.tool_schema import tool

PULSE = Reading(t_min=480, code="pulse", value=100, unit="/min")
RISING = Course(code="pulse", per_hour=60, low=60, high=130, eased_by=("give",), eased_per_hour=-60)
GIVE = Instrument(
    tool("give", "gives", patient_id=PATIENT_ID), about(lambda world, one, args: Used(world, "Given.", 10))
)


def world(**changes: object) -> World:
    patient = {"patient_id": "P1", "age_months": 30, "sex": "F", "weight_kg": 12, "height_cm": 88}
    one = Patient(**{**patient, "readings": (PULSE,), "courses": (RISING,), **changes})  # type: ignore[arg-type]
    return World(clock_min=480, patients=(one,))


def test_a_call_moves_the_clock_and_is_noted_at_the_time_it_was_begun() -> None:
    used = use(world(), GIVE, {"patient_id": "P1"})
    (event,) = used.world.events
    assert used.world.clock_min == 490 and used.text == "Given."
    assert (event.t_min, event.actor, event.kind, event.payload) == (480, "agent", "give", {"patient_id": "P1"})


def test_an_unknown_patient_is_refused_and_nothing_is_done() -> None:
    used = use(world(), GIVE, {"patient_id": "P2"})
    assert used.text == "There is no patient P2." and used.world.clock_min == 480
    assert [event.kind for event in used.world.events] == [REFUSED] and not list(used.world.done("give"))


def test_a_reading_goes_along_its_course_until_a_treatment_turns_it() -> None:
    assert world().later(20).current("P1", "pulse") == 120
    treated = use(world().later(20), GIVE, {"patient_id": "P1"}).world
    assert treated.current("P1", "pulse") == pytest.approx(110)
    assert treated.later(60).current("P1", "pulse") == 60


@given(minutes=st.integers(0, 1000))
def test_a_course_never_leaves_its_bounds(minutes: int) -> None:
    value = world().later(minutes).current("P1", "pulse")
    assert value is not None and 60 <= value <= 130


def test_what_was_never_measured_has_no_value_and_what_lies_ahead_is_not_there() -> None:
    later = Reading(t_min=600, code="pulse", value=70, unit="/min")
    one = world(readings=(PULSE, later), courses=())
    assert one.current("P1", "lactate") is None and one.current("P1", "pulse") == 100
    assert one.later(120).current("P1", "pulse") == 70 and one.readings("P2", "pulse") == []


def test_a_world_survives_json() -> None:
    noted = use(world(), GIVE, {"patient_id": "P1"}).world
    assert world_of(as_json(noted)) == noted


@pytest.mark.parametrize(("at", "active"), [(9, False), (10, True), (19, True), (20, False)])
def test_a_medication_is_taken_from_its_start_to_before_its_stop(at: int, active: bool) -> None:
    one = Medication(drug="aspirin", dose_mg=100, route="oral", every_h=24, start_min=10, stop_min=20)
    assert one.active(at) == active
