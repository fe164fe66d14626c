from __future__ import annotations

import random
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bench.clinic_scores import main
from envs.clinic.scores.nerves import ITEMS
from envs.clinic.scores.score import Bands, Result, Score, exact
from envs.clinic.scores.table import SCORES
from envs.clinic_checker.scores.table import FOUND
from evals.suites.clinic.scores_compared import differ, differences, drawn

# Worked by hand from the printed formulas.
WORKED: list[tuple[str, dict[str, Any], float]] = [
    ("egfr", {"creatinine_mg_dl": 0.9, "age": 50, "sex": "male"}, 142 * 0.9938**50),
    ("egfr", {"creatinine_mg_dl": 0.7, "age": 50, "sex": "female"}, 142 * 0.9938**50 * 1.012),
    ("egfr", {"creatinine_mg_dl": 1.8, "age": 60, "sex": "male"}, 142 * 2**-1.2 * 0.9938**60),
    ("egfr", {"creatinine_mg_dl": 0.35, "age": 60, "sex": "female"}, 142 * 2**0.241 * 0.9938**60 * 1.012),
    ("egfr", {"creatinine_mg_dl": 0.45, "age": 60, "sex": "male"}, 142 * 2**0.302 * 0.9938**60),
    ("crcl", {"creatinine_mg_dl": 1.0, "age": 68, "weight_kg": 72.0, "sex": "male"}, 72),
    ("crcl", {"creatinine_mg_dl": 1.0, "age": 68, "weight_kg": 72.0, "sex": "female"}, 61.2),
    ("anion_gap", {"sodium_mmol_l": 140, "chloride_mmol_l": 100, "bicarbonate_mmol_l": 24}, 16),
    (
        "anion_gap",
        {"sodium_mmol_l": 140, "chloride_mmol_l": 100, "bicarbonate_mmol_l": 24, "albumin_g_dl": 2.0},
        21,
    ),
    ("corrected_calcium", {"calcium_mg_dl": 8.0, "albumin_g_dl": 2.0}, 9.6),
    ("corrected_sodium", {"sodium_mmol_l": 125, "glucose_mg_dl": 600}, 133),
    ("osmolality", {"sodium_mmol_l": 140, "glucose_mg_dl": 90, "bun_mg_dl": 14}, 290),
    ("winter", {"bicarbonate_mmol_l": 10}, 23),
    ("mean_pressure", {"sbp_mmhg": 120, "dbp_mmhg": 60}, 80),
    ("qtc_bazett", {"qt_ms": 400, "pulse": 60}, 400),
    ("qtc_bazett", {"qt_ms": 400, "pulse": 240}, 800),
    ("qtc_fridericia", {"qt_ms": 400, "pulse": 60}, 400),
    ("aa_gradient", {"fio2_percent": 21, "paco2_mmhg": 40.0, "pao2_mmhg": 90.0}, 9.73),
    ("shock_index", {"pulse": 120, "sbp_mmhg": 80}, 1.5),
    ("body_surface", {"height_cm": 180, "weight_kg": 80.0}, 2.0),
    ("parkland", {"weight_kg": 70.0, "burned_percent": 20}, 5600),
    ("nihss", {name: most for name, (_, most) in ITEMS.items()}, 42),
    ("gcs", {"eye": 4, "verbal": 5, "motor": 6}, 15),
    (
        "meld3",
        {
            "female": False,
            "bilirubin_mg_dl": 0.5,
            "sodium_mmol_l": 140,
            "inr": 0.9,
            "creatinine_mg_dl": 0.6,
            "albumin_g_dl": 4.0,
        },
        6,
    ),
    (
        "meld3",
        {
            "female": True,
            "bilirubin_mg_dl": 1.0,
            "sodium_mmol_l": 127,
            "inr": 1.0,
            "creatinine_mg_dl": 1.0,
            "albumin_g_dl": 2.5,
        },
        6 + 1.33 + 8.2 + 1.85,
    ),
    (
        "meld3",
        {
            "female": True,
            "bilirubin_mg_dl": 60.0,
            "sodium_mmol_l": 100,
            "inr": 9.0,
            "creatinine_mg_dl": 9.0,
            "albumin_g_dl": 1.0,
        },
        40,
    ),
]


@pytest.mark.parametrize("name", sorted(SCORES))
def test_two_implementations_agree_on_random_inputs(name: str) -> None:
    assert differences(SCORES[name], 200) == []


@pytest.mark.parametrize(("name", "inputs", "value"), WORKED)
def test_a_formula_gives_what_was_worked_by_hand(name: str, inputs: dict[str, Any], value: float) -> None:
    assert SCORES[name](inputs).value == pytest.approx(value, abs=1e-9)
    assert float(FOUND[name](inputs)[0]) == pytest.approx(value, abs=1e-9)


def test_every_score_has_a_second_implementation_a_source_and_a_schema_of_each_input() -> None:
    assert SCORES.keys() == FOUND.keys()
    for score in SCORES.values():
        assert all(score.sources)
        for one in score.inputs:
            Draft202012Validator.check_schema(one.schema())


def test_a_wrong_table_is_found_by_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    right = SCORES["qsofa"]
    wrong = Score(**{name: getattr(right, name) for name in right.__struct_fields__ if name != "compute"}, compute=_one)
    monkeypatch.setitem(SCORES, "qsofa", wrong)
    assert differences(wrong, 50)
    assert main(["--count", "50", "--scores", "qsofa"]) == 1
    monkeypatch.undo()
    assert main(["--count", "50", "--scores", "qsofa"]) == 0


def _one(**inputs: object) -> Result:
    return Result(value=1, group="negative")


def test_equal_values_with_another_group_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {"rr": 16, "sbp_mmhg": 120, "gcs": 15}
    assert not differ(SCORES["qsofa"], inputs)
    monkeypatch.setitem(FOUND, "qsofa", lambda raw: (0, "positive"))
    assert differ(SCORES["qsofa"], inputs)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"rr": 16, "sbp_mmhg": 120}, "qsofa needs gcs: Glasgow coma scale"),
        ({"rr": 16, "sbp_mmhg": 120, "gcs": 16}, "gcs must be 3 to 15, a whole number, not 16"),
        ({"rr": 16, "sbp_mmhg": 120, "gcs": 14.5}, "gcs must be 3 to 15, a whole number, not 14.5"),
        ({"rr": 16, "sbp_mmhg": 120, "gcs": True}, "gcs must be 3 to 15, a whole number, not True"),
        ({"rr": 16, "sbp_mmhg": 120, "gcs": 15, "age": 3}, "qsofa takes rr, sbp_mmhg, gcs, not age"),
    ],
)
def test_inputs_that_a_score_does_not_take_are_refused(inputs: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SCORES["qsofa"](inputs)


def test_a_flag_and_a_choice_are_refused_with_what_to_write() -> None:
    with pytest.raises(ValueError, match="ventilated must be true or false, not 1"):
        SCORES["sofa"]({"ventilated": 1, "pressor": "none"})
    with pytest.raises(ValueError, match="pressor must be none or dobutamine"):
        SCORES["sofa"]({"ventilated": True, "pressor": "adrenaline"})


def test_a_limit_belongs_to_the_range_above_it_or_with_upper_below() -> None:
    assert [Bands(limits=(5,), points=(0, 1)).of(value) for value in (4.9, 5, 5.1)] == [0, 1, 1]
    assert [Bands(limits=(5,), points=(0, 1), upper=True).of(value) for value in (4.9, 5, 5.1)] == [0, 0, 1]


def test_decimals_are_taken_as_they_are_written() -> None:
    assert 1.2 / 0.8 < 1.5 == exact(1.2) / exact(0.8)


def test_a_score_is_written_with_its_unit_group_and_the_parts_that_count() -> None:
    sofa = SCORES["sofa"]
    result = sofa({"ventilated": False, "pressor": "none", "gcs": 12, "bilirubin_mg_dl": 1.2})
    assert sofa.written(result) == "SOFA 3 points: liver 1, brain 2"
    news2 = SCORES["news2"]
    normal = {"rr": 16, "spo2_percent": 98, "scale": 1, "oxygen": False, "sbp_mmhg": 120, "pulse": 80}
    assert news2.written(news2({**normal, "avpu": "alert", "temp_c": 37.0})) == "NEWS2 0 points (low)"


def test_random_inputs_are_in_range_and_reach_missing_values() -> None:
    rng = random.Random(0)
    values = [drawn(SCORES["sofa"].inputs[0], rng) for _ in range(200)]
    assert None in values
    assert all(20 <= value <= 700 for value in values if value is not None)
