"""The answer of each kind of request on charts written by hand, by the game and by its checker."""

from __future__ import annotations

from typing import Any

import pytest

from envs.clinic.chart.families.table import FAMILIES, RELEASED
from envs.clinic.chart.texts import DAY, HOUR
from tests.envs.clinic.chart.strategies import END, answer_of, drawn, expected, written

AT = {"at": END}
WINDOW = {"first": END - 12 * HOUR, "last": END}
FIRST = END - DAY
"""The first minute of the 24 hours up to END."""


def gas(t_min: int, pao2: int, fio2: int, ventilated: int) -> list[tuple[int, str, float]]:
    return [(t_min, "pao2", pao2), (t_min, "fio2", fio2), (t_min, "ventilated", ventilated)]


@pytest.mark.parametrize(
    ("rows", "points"),
    [
        ([], 0),
        ([(FIRST, "platelets", 99)], 2),
        ([(END, "platelets", 99)], 2),
        ([(FIRST - 1, "platelets", 99)], 0),
        ([(END + 1, "platelets", 99)], 0),
        ([(FIRST, "platelets", 200), (END, "platelets", 19), (END - 5, "platelets", 160)], 4),
        ([(END, "bilirubin", 205, "umol/L")], 4),
        ([(END, "bilirubin", 11.9), (END, "creatinine", 442, "umol/L")], 7),
        ([(END, "creatinine", 3.5)], 3),
        ([(END, "creatinine", 106, "umol/L")], 1),
        ([(END, "map", 69)], 1),
        ([(END, "map", 60), (END, "norepinephrine", 0.1)], 3),
        ([(END, "norepinephrine", 0.11), (END + 1, "norepinephrine", 0.01)], 4),
        ([(END, "dopamine", 5.0)], 2),
        ([(END, "dopamine", 5.1)], 3),
        ([(END, "dobutamine", 18.0), (END, "gcs", 12)], 4),
        (gas(END, 60, 60, 1), 3),
        (gas(END, 59, 60, 1), 4),
        (gas(END, 59, 60, 0), 2),
        (gas(END, 90, 30, 0), 1),
        ([*gas(END, 90, 21, 0), *gas(END + 1, 50, 100, 1)], 0),
    ],
)
def test_sofa_takes_the_worst_of_each_part_inside_the_window(rows: list[Any], points: int) -> None:
    assert expected("sofa", rows, {"end": END}) == points


def observed(t_min: int, **changed: float) -> list[tuple[int, str, float]]:
    usual = {"rr": 16, "spo2": 94, "oxygen": 0, "sbp": 120, "pulse": 80, "temp": 37.0, "consciousness": 0}
    return [(t_min, code, value) for code, value in {**usual, **changed}.items()]


HYPERCAPNIC = [["J96.12", "Chronic respiratory failure with hypercapnia"]]
COPD = [["J44.9", "COPD, unspecified"]]


@pytest.mark.parametrize(
    ("rows", "problems", "points"),
    [
        (observed(END), COPD, 1),
        (observed(END), HYPERCAPNIC, 0),
        (observed(END, oxygen=1), HYPERCAPNIC, 3),
        (observed(END, consciousness=1), COPD, 4),
        ([*observed(END - 60, rr=25), *observed(END)], COPD, 1),
        ([*observed(END - 60, rr=25), *observed(END)[1:]], COPD, 4),
        ([*observed(END - 60), *observed(END + 1, rr=25)], COPD, 1),
    ],
)
def test_news2_is_of_the_last_complete_set_at_the_time(rows: list[Any], problems: list[Any], points: int) -> None:
    assert expected("news2", rows, AT, problems=problems) == points


NOTE = "Killip class II. ST deviation: yes. Cardiac arrest at arrival: no."
ROUND = "Killip class IV. ST deviation: no. Cardiac arrest at arrival: yes."
ARRIVAL = [(10, "pulse", 95), (10, "sbp", 130), (40, "creatinine", 1.4), (40, "troponin", 15)]
LATER = [(600, "pulse", 180), (600, "sbp", 82), (600, "creatinine", 3.4), (600, "troponin", 5)]
NOTES = [[30, "admission", NOTE], [600, "ward_round", ROUND]]


def test_grace_is_of_the_arrival() -> None:
    # Killip II 20, 130 mmHg 34, 95 beats 15, 60 years 58, 1.4 mg/dL 10, ST 28, enzymes 14
    assert expected("grace", [*ARRIVAL, *LATER], {}, notes=NOTES) == 179


def test_grace_counts_a_troponin_of_the_limit_as_not_raised_and_reads_umol() -> None:
    rows = [*ARRIVAL[:2], (40, "creatinine", 124, "umol/L"), (40, "troponin", 14)]
    assert expected("grace", [*rows, *LATER], {}, notes=NOTES) == 165


URINE = [(END - 6 * HOUR, "urine", 500), (END, "urine", 500)]


@pytest.mark.parametrize(
    ("rows", "stage"),
    [
        ([(END - 7 * DAY, "creatinine", 1.0), (END, "creatinine", 1.5), *URINE], 1),
        ([(END - 7 * DAY - 1, "creatinine", 1.0), (END, "creatinine", 1.5), *URINE], 0),
        ([(END - 3 * DAY, "creatinine", 0.8), (END, "creatinine", 1.6), *URINE], 2),
        ([(END - 3 * DAY, "creatinine", 71, "umol/L"), (END, "creatinine", 212, "umol/L"), *URINE], 3),
        ([(END - 2 * DAY, "creatinine", 2.0), (END, "creatinine", 2.3), *URINE], 1),
        ([(END - 2 * DAY - 1, "creatinine", 2.0), (END, "creatinine", 2.3), *URINE], 0),
        ([(END - 2 * DAY, "creatinine", 3.7), (END, "creatinine", 4.0), *URINE], 3),
        ([(END, "creatinine", 1.0), (END - 6 * HOUR, "urine", 200), (END, "urine", 200)], 2),
        ([(END, "creatinine", 1.0), (END - 6 * HOUR, "urine", 0), (END, "urine", 0)], 3),
        ([(END, "creatinine", 1.0), *URINE, (END + 60, "urine", 0), (END + 60, "creatinine", 5.0)], 0),
    ],
)
def test_kdigo_looks_back_seven_days_and_48_hours(rows: list[Any], stage: int) -> None:
    early = [(row[0] + 7 * DAY, *row[1:]) for row in rows]
    assert expected("kdigo", early, {"at": END + 7 * DAY}, clock_min=END + 9 * DAY) == stage


CREATININE = [(END - 60, "creatinine", 0.9), (END, "creatinine", 159, "umol/L"), (END + 30, "creatinine", 0.7)]


def test_the_egfr_is_of_the_last_creatinine_at_the_time() -> None:
    assert expected("egfr", CREATININE, AT, age=61) == 42 == int(142 * 2**-1.2 * 0.9938**61)


@pytest.mark.parametrize(
    ("drug", "creatinine", "daily"),
    [
        # (140 - 60) x 80 / (72 x creatinine): 88.9 at 1.0, 44.4 at 2.0, 22.2 at 4.0, 8.9 at 10.0
        ("meropenem", 1.0, 3000),
        ("meropenem", 2.0, 2000),
        ("meropenem", 4.0, 1000),
        ("meropenem", 10.0, 500),
        ("piperacillin_tazobactam", 2.0, 13500),
        ("piperacillin_tazobactam", 4.0, 9000),
        ("piperacillin_tazobactam", 10.0, 6750),
        ("rivaroxaban", 1.0, 20),
        ("rivaroxaban", 2.0, 15),
        ("dabigatran", 2.0, 300),
        ("dabigatran", 4.0, 150),
        ("enoxaparin", 2.0, 160),
        ("enoxaparin", 4.0, 80),
    ],
)
def test_the_dose_is_that_of_the_label_for_the_clearance(drug: str, creatinine: float, daily: float) -> None:
    answer = answer_of(written("dose", [(END, "creatinine", creatinine)], {**AT, "drug": drug}))
    assert answer["expected"] == answer["most"] == daily


def drugs(*names: str) -> list[list[Any]]:
    return [[name, 500, "oral", 24.0, 0, None] for name in names]


LABS = [(END, "creatinine", 1.0), (END, "potassium", 5.5)]


@pytest.mark.parametrize(
    ("rows", "allergy", "stopped"),
    [
        (LABS, "cephalosporins", []),
        (LABS, "penicillins", ["amoxicillin"]),
        ([*LABS, (END + 1, "potassium", 5.6)], "macrolides", ["spironolactone"]),
        ([*LABS, (END + 1, "creatinine", 3.0)], "macrolides", ["ibuprofen", "metformin"]),
        ([*LABS, (END - 1, "creatinine", 3.0), (END - 1, "potassium", 6.0)], "macrolides", []),
    ],
)
def test_reconciliation_stops_what_a_rule_names(rows: list[Any], allergy: str, stopped: list[str]) -> None:
    home = ["amoxicillin", "ibuprofen", "metformin", "spironolactone", "omeprazole"]
    orders = [["apixaban", 5, "oral", 12.0, 60, None], ["ceftriaxone", 1000, "iv", 24.0, 60, END]]
    orders.append(["omeprazole", 20, "oral", 24.0, 60, None])
    facts = written("reconciliation", rows, home=drugs(*home), orders=orders, allergies=[[allergy, "rash"]])
    answer = answer_of(facts)
    assert answer["lists"] == {"keep": sorted({*home} - {*stopped}), "stop": stopped, "add": ["apixaban"]}
    assert answer["expected"] == len(home) - len(stopped) + 1 and answer["severe"] == ("amoxicillin" in stopped)


def test_lactate_clearance_is_of_the_first_and_the_last_in_the_window() -> None:
    inside = [(WINDOW["first"], "lactate", 4.0), (END - 60, "lactate", 9.0), (END, "lactate", 3.0)]
    rows = [(WINDOW["first"] - 1, "lactate", 8.0), *inside, (END + 1, "lactate", 1.0)]
    assert expected("lactate", rows, WINDOW) == 25
    assert expected("lactate", [*rows[:2], (END, "lactate", 5.0)], WINDOW) == -25


def test_the_balance_is_of_rows_in_the_window_ends_included() -> None:
    rows = [(WINDOW["first"], "oral", 300), (END, "infused", 500), (END - 9, "urine", 450), (END - 5, "drain", 80)]
    assert expected("balance", [*rows, (END + 1, "oral", 900), (WINDOW["first"] - 1, "urine", 900)], WINDOW) == 270


def test_the_rise_of_sodium_is_from_an_earlier_to_a_later_value() -> None:
    values = {-721: 100, -720: 130, -600: 121, -300: 127, -60: 124, 1: 150}
    assert expected("sodium", [(END + t_min, "sodium", value) for t_min, value in values.items()], WINDOW) == 6
    assert expected("sodium", [(END - 9, "sodium", 130), (END, "sodium", 121)], WINDOW) == 0


NORMAL = {"sodium": 135, "potassium": 5.0, "calcium": 8.5, "magnesium": 2.4}


@pytest.mark.parametrize(
    ("code", "value", "icd"),
    [
        ("sodium", 134, "E87.1"),
        ("sodium", 146, "E87.0"),
        ("potassium", 3.4, "E87.6"),
        ("potassium", 5.1, "E87.5"),
        ("calcium", 8.4, "E83.51"),
        ("calcium", 10.6, "E83.52"),
        ("magnesium", 1.6, "E83.42"),
        ("magnesium", 2.5, "E83.41"),
    ],
)
def test_the_code_is_that_of_the_value_outside_its_range(code: str, value: float, icd: str) -> None:
    rows = [(END, name, value if name == code else usual) for name, usual in NORMAL.items()]
    later = [(END + 1, "sodium", 160), (END - 9, "potassium", 2.0)]
    assert expected("coding", [*rows, *later], AT) == icd


def test_the_antibiotic_is_the_first_at_or_after_a_lactate_above_two() -> None:
    rows = [(30, "lactate", 2.0), (60, "lactate", 2.1), (90, "lactate", 7.0)]
    times = {"cefepime": 20, "heparin": 65, "vancomycin": 140, "meropenem": 200}
    orders = [[drug, 1, "iv", 24.0, t_min, None] for drug, t_min in times.items()]
    assert expected("antibiotic", rows, {}, orders=orders) == 80


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_twins_differ_in_one_fact_and_in_their_answer(kind: str) -> None:
    for seed in range(5):
        one, other = (drawn(kind, seed, twin) for twin in (0, 1))
        assert one.request == other.request
        (mine,), (its,) = one.world.patients, other.world.patients
        differing = [
            (a, b)
            for name in mine.__struct_fields__
            for a, b in zip(*(_list(getattr(who, name)) for who in (mine, its)), strict=True)
            if a != b
        ]
        notes = [(a, b) for a, b in zip(one.world.documents, other.world.documents, strict=True) if a != b]
        assert len(differing) + len(notes) == 1
        assert one.truth.answer["expected"] != other.truth.answer["expected"] or one.truth.answer["lists"]
        assert {one.truth.answer["rank"], other.truth.answer["rank"]} == {"more", "less"}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def test_the_release_set_has_75_tasks_of_all_kinds() -> None:
    assert sum(RELEASED.values()) == 75 and RELEASED.keys() == FAMILIES.keys()


@pytest.mark.parametrize(
    ("kind", "rows", "more"),
    [
        ("egfr", [(END, "creatinine", 1.0), (END, "sodium", 140)], {"age": 0}),
        ("coding", [(END, code, value) for code, value in NORMAL.items()], {}),
        ("coding", [(END, "sodium", 120), (END, "potassium", 6.0), (END, "calcium", 9.0), (END, "magnesium", 2.0)], {}),
        ("dose", [(END, "creatinine", 1.79)], {"question": {**AT, "drug": "rivaroxaban"}}),
    ],
)
def test_a_chart_that_does_not_decide_is_refused(kind: str, rows: list[Any], more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"outside|near|not one that|age must be"):
        answer_of(written(kind, rows, **{"question": AT, **more}))
