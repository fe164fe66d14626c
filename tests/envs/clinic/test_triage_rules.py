"""The decision tree at every boundary. Figures: the ESI handbook (see `envs.clinic.triage.esi`)."""

from __future__ import annotations

from typing import Any

import pytest

from envs.clinic.triage.cases import place_of, teams_of
from envs.clinic.triage.esi import KINDS, Findings, decide, resources
from envs.clinic.triage.findings import SIGNS, flags_of

TWO = ("blood count", "chest x-ray")
QUIET: dict[str, Any] = {"age_months": 400, "pulse": 80, "resp_rate": 14, "spo2": 98, "temp": 37.0}


def level(care: tuple[str, ...] = TWO, **changes: Any) -> tuple[int, str]:
    return tuple(decide(Findings(**{**QUIET, "care": care, **changes})))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("months", "pulse", "breaths"),
    [(2, 180, 50), (3, 160, 40), (35, 160, 40), (36, 140, 30), (95, 140, 30), (96, 100, 20), (900, 100, 20)],
)
def test_the_danger_zone_begins_above_the_limits_of_the_age(months: int, pulse: int, breaths: int) -> None:
    assert level(age_months=months, pulse=pulse, resp_rate=breaths) == (3, "D")
    assert level(age_months=months, pulse=pulse + 1) == (2, "D")
    assert level(age_months=months, resp_rate=breaths + 1) == (2, "D")


@pytest.mark.parametrize(("spo2", "found"), [(89, (1, "A")), (90, (2, "D")), (91, (2, "D")), (92, (3, "D"))])
def test_saturation_below_90_is_level_1_and_below_92_the_danger_zone(spo2: int, found: tuple[int, str]) -> None:
    assert level(spo2=spo2) == found


def test_a_vital_sign_in_the_danger_zone_counts_only_with_two_resources() -> None:
    assert level(care=("blood count",), pulse=101) == (4, "C")


def test_chemotherapy_counts_from_38_degrees_on() -> None:
    flags = frozenset({"chemotherapy"})
    assert level(flags=flags, temp=37.9) == (3, "D") and level(flags=flags, temp=38.0) == (2, "B")


@pytest.mark.parametrize("flag", sorted({sign.flag for sign in SIGNS} - {"immediate", "chemotherapy"}))
def test_every_other_sign_is_level_2_whatever_the_care(flag: str) -> None:
    assert level(care=("splint",), flags=frozenset({flag})) == (2, "B")


@pytest.mark.parametrize("sign", SIGNS)
def test_a_sign_raises_its_flag_and_its_decoy_none(sign: Any) -> None:
    assert flags_of([sign.text]) == {sign.flag} and flags_of([sign.decoy]) == frozenset()


@pytest.mark.parametrize(
    ("care", "count"),
    [
        (("blood count", "electrolytes", "urinalysis"), 1),
        (("chest x-ray", "abdominal x-ray"), 1),
        (("blood count", "chest x-ray"), 2),
        (("CT of the head", "chest x-ray"), 2),
        (("intravenous fluids", "intravenous antibiotic"), 2),
        (("joint reduction under sedation",), 2),
        (("oral paracetamol", "splint", "saline lock", "point-of-care glucose test"), 0),
        ((), 0),
    ],
)
def test_kinds_of_resources_are_counted_and_not_their_items(care: tuple[str, ...], count: int) -> None:
    assert resources(care) == count and set(care) <= set(KINDS)
    assert level(care=care)[0] == (3 if count == 2 else 5 - count)


def test_level_3_takes_an_acute_bed_only_if_one_is_free() -> None:
    assert [place_of(one, 1) for one in range(1, 6)] == [
        "resuscitation",
        "acute_bed",
        "acute_bed",
        "fast_track",
        "fast_track",
    ]
    assert place_of(3, 0) == "waiting_room" and place_of(2, 0) == "acute_bed"


def test_the_resuscitation_team_is_for_level_1_and_the_stroke_team_for_strokes() -> None:
    assert teams_of(1, frozenset({"stroke"})) == ("resuscitation",)
    assert teams_of(2, frozenset({"stroke"})) == ("stroke",) and teams_of(2, frozenset({"suicide"})) == ()
