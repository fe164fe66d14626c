"""Every limit of every score, on both sides, with the points that its paper prints."""

from __future__ import annotations

from typing import Any

import pytest

from envs.clinic.scores.nerves import ITEMS
from envs.clinic.scores.table import SCORES
from envs.clinic_checker.scores.table import FOUND
from tests.envs.clinic.scores.normal import NORMAL

LIMITS: list[tuple[str, str, dict[str, Any], dict[Any, int]]] = [
    ("sofa", "pf_ratio_mmhg", {}, {400.0: 0, 399.9: 1, 300.0: 1, 299.9: 2, 199.9: 2, 99.9: 2}),
    (
        "sofa",
        "pf_ratio_mmhg",
        {"ventilated": True},
        {400.0: 0, 399.9: 1, 299.9: 2, 200.0: 2, 199.9: 3, 100.0: 3, 99.9: 4},
    ),
    ("sofa", "platelets_k_ul", {}, {150: 0, 149: 1, 100: 1, 99: 2, 50: 2, 49: 3, 20: 3, 19: 4}),
    ("sofa", "bilirubin_mg_dl", {}, {1.1: 0, 1.2: 1, 1.9: 1, 2.0: 2, 5.9: 2, 6.0: 3, 11.9: 3, 12.1: 4}),
    ("sofa", "map_mmhg", {}, {70: 0, 69: 1}),
    ("sofa", "dose_ug_kg_min", {"pressor": "dopamine"}, {5.0: 2, 5.1: 3, 15.0: 3, 15.1: 4}),
    ("sofa", "dose_ug_kg_min", {"pressor": "norepinephrine"}, {0.1: 3, 0.11: 4}),
    ("sofa", "dose_ug_kg_min", {"pressor": "epinephrine"}, {0.1: 3, 0.11: 4}),
    ("sofa", "dose_ug_kg_min", {"pressor": "dobutamine"}, {1.0: 2, 20.0: 2}),
    ("sofa", "gcs", {}, {15: 0, 14: 1, 13: 1, 12: 2, 10: 2, 9: 3, 6: 3, 5: 4, 3: 4}),
    ("sofa", "creatinine_mg_dl", {}, {1.1: 0, 1.2: 1, 1.9: 1, 2.0: 2, 3.4: 2, 3.5: 3, 4.9: 3, 5.1: 4}),
    ("sofa", "urine_ml_day", {}, {500: 0, 499: 3, 200: 3, 199: 4}),
    ("sofa", "urine_ml_day", {"creatinine_mg_dl": 5.1}, {499: 4, 1000: 4}),
    ("qsofa", "rr", {}, {21: 0, 22: 1}),
    ("qsofa", "sbp_mmhg", {}, {101: 0, 100: 1}),
    ("qsofa", "gcs", {}, {15: 0, 14: 1}),
    ("sirs", "temp_c", {}, {36.0: 0, 35.9: 1, 38.0: 0, 38.1: 1}),
    ("sirs", "pulse", {}, {90: 0, 91: 1}),
    ("sirs", "rr", {}, {20: 0, 21: 1}),
    ("sirs", "paco2_mmhg", {}, {32.0: 0, 31.9: 1}),
    ("sirs", "wbc_k_ul", {}, {4.0: 0, 3.9: 1, 12.0: 0, 12.1: 1}),
    ("sirs", "bands_percent", {}, {10: 0, 11: 1}),
    ("news2", "rr", {}, {8: 3, 9: 1, 11: 1, 12: 0, 20: 0, 21: 2, 24: 2, 25: 3}),
    ("news2", "spo2_percent", {}, {91: 3, 92: 2, 93: 2, 94: 1, 95: 1, 96: 0}),
    (
        "news2",
        "spo2_percent",
        {"scale": 2},
        {83: 3, 84: 2, 85: 2, 86: 1, 87: 1, 88: 0, 92: 0, 93: 0, 97: 0, 100: 0},
    ),
    (
        "news2",
        "spo2_percent",
        {"scale": 2, "oxygen": True},
        {83: 5, 85: 4, 87: 3, 88: 2, 92: 2, 93: 3, 94: 3, 95: 4, 96: 4, 97: 5},
    ),
    ("news2", "oxygen", {}, {False: 0, True: 2}),
    ("news2", "sbp_mmhg", {}, {90: 3, 91: 2, 100: 2, 101: 1, 110: 1, 111: 0, 219: 0, 220: 3}),
    ("news2", "pulse", {}, {40: 3, 41: 1, 50: 1, 51: 0, 90: 0, 91: 1, 110: 1, 111: 2, 130: 2, 131: 3}),
    ("news2", "avpu", {}, {"alert": 0, "confusion": 3, "voice": 3, "pain": 3, "unresponsive": 3}),
    ("news2", "temp_c", {}, {35.0: 3, 35.1: 1, 36.0: 1, 36.1: 0, 38.0: 0, 38.1: 1, 39.0: 1, 39.1: 2}),
    *(("nihss", name, {}, {points: points for points in range(most + 1)}) for name, (_, most) in ITEMS.items()),
    ("abcd2", "age", {}, {59: 0, 60: 1}),
    ("abcd2", "sbp_mmhg", {}, {139: 0, 140: 1}),
    ("abcd2", "dbp_mmhg", {}, {89: 0, 90: 1}),
    ("abcd2", "dbp_mmhg", {"sbp_mmhg": 150}, {89: 1, 90: 1}),
    ("abcd2", "signs", {}, {"other": 0, "speech": 1, "weakness": 2}),
    ("abcd2", "minutes", {}, {9: 0, 10: 1, 59: 1, 60: 2}),
    ("abcd2", "diabetes", {}, {False: 0, True: 1}),
    ("grace", "killip", {}, {1: 1, 2: 21, 3: 40, 4: 60}),
    (
        "grace",
        "sbp_mmhg",
        {},
        {79: 59, 81: 54, 99: 54, 100: 44, 119: 44, 120: 35, 139: 35, 140: 25, 159: 25, 160: 11, 199: 11, 200: 1},
    ),
    (
        "grace",
        "pulse",
        {},
        {49: 1, 51: 4, 69: 4, 70: 10, 89: 10, 90: 16, 109: 16, 110: 25, 149: 25, 150: 39, 199: 39, 200: 47},
    ),
    (
        "grace",
        "age",
        {},
        {29: 1, 31: 9, 39: 9, 40: 26, 50: 42, 60: 59, 69: 59, 70: 76, 79: 76, 80: 92, 89: 92, 90: 101},
    ),
    (
        "grace",
        "creatinine_mg_dl",
        {},
        {0.39: 1, 0.4: 4, 0.79: 4, 0.8: 7, 1.19: 7, 1.2: 10, 1.59: 10, 1.6: 13, 1.99: 13, 2.0: 21, 3.99: 21, 4.01: 28},
    ),
    ("grace", "arrest", {}, {True: 40}),
    ("grace", "st_deviation", {}, {True: 29}),
    ("grace", "raised_enzymes", {}, {True: 15}),
    ("heart", "history", {}, {"slight": 0, "moderate": 1, "high": 2}),
    ("heart", "ecg", {}, {"normal": 0, "nonspecific": 1, "st_deviation": 2}),
    ("heart", "age", {}, {44: 0, 46: 1, 64: 1, 65: 2}),
    ("heart", "risk_factors", {}, {0: 0, 1: 1, 2: 1, 3: 2}),
    ("heart", "atherosclerosis", {"risk_factors": 1}, {True: 2}),
    ("heart", "troponin_ratio", {}, {1.0: 0, 1.1: 1, 2.9: 1, 3.1: 2}),
    ("curb65", "urea_mmol_l", {}, {7.0: 0, 7.1: 1}),
    ("curb65", "rr", {}, {29: 0, 30: 1}),
    ("curb65", "sbp_mmhg", {}, {90: 0, 89: 1}),
    ("curb65", "dbp_mmhg", {}, {61: 0, 60: 1}),
    ("curb65", "sbp_mmhg", {"dbp_mmhg": 50}, {80: 1}),
    ("curb65", "age", {}, {64: 0, 65: 1}),
    ("curb65", "confusion", {}, {True: 1}),
    ("perc", "age", {}, {49: 0, 50: 1}),
    ("perc", "pulse", {}, {99: 0, 100: 1}),
    ("perc", "spo2_percent", {}, {95: 0, 94: 1}),
    ("spesi", "age", {}, {80: 0, 81: 1}),
    ("spesi", "pulse", {}, {109: 0, 110: 1}),
    ("spesi", "sbp_mmhg", {}, {100: 0, 99: 1}),
    ("spesi", "spo2_percent", {}, {90: 0, 89: 1}),
    ("centor", "age", {}, {14: 1, 15: 0, 44: 0, 45: -1}),
    ("centor", "temp_c", {}, {38.0: 0, 38.1: 1}),
    ("centor", "cough", {}, {False: 1}),
    ("bisap", "bun_mg_dl", {}, {25.0: 0, 25.1: 1}),
    ("bisap", "gcs", {}, {14: 1}),
    ("bisap", "sirs_criteria", {}, {1: 0, 2: 1}),
    ("bisap", "age", {}, {60: 0, 61: 1}),
    ("blatchford", "urea_mmol_l", {}, {6.4: 0, 6.5: 2, 7.9: 2, 8.0: 3, 9.9: 3, 10.0: 4, 24.9: 4, 25.0: 6}),
    ("blatchford", "haemoglobin_g_dl", {}, {13.0: 0, 12.9: 1, 12.0: 1, 11.9: 3, 10.0: 3, 9.9: 6}),
    ("blatchford", "haemoglobin_g_dl", {"sex": "female"}, {12.0: 0, 11.9: 1, 10.0: 1, 9.9: 6}),
    ("blatchford", "sbp_mmhg", {}, {110: 0, 109: 1, 100: 1, 99: 2, 90: 2, 89: 3}),
    ("blatchford", "pulse", {}, {99: 0, 100: 1}),
    ("blatchford", "melaena", {}, {True: 1}),
    ("blatchford", "syncope", {}, {True: 2}),
    ("blatchford", "liver_disease", {}, {True: 2}),
    ("blatchford", "heart_failure", {}, {True: 2}),
    ("child_pugh", "bilirubin_mg_dl", {}, {1.9: 5, 2.0: 6, 3.0: 6, 3.1: 7}),
    ("child_pugh", "albumin_g_dl", {}, {3.6: 5, 3.5: 6, 2.8: 6, 2.7: 7}),
    ("child_pugh", "inr", {}, {1.6: 5, 1.7: 6, 2.3: 6, 2.4: 7}),
    ("child_pugh", "ascites", {}, {"none": 5, "slight": 6, "moderate": 7}),
    ("child_pugh", "encephalopathy", {}, {"none": 5, "grade_1_2": 6, "grade_3_4": 7}),
    ("ranson", "age", {}, {55: 0, 56: 1}),
    ("ranson", "wbc_k_ul", {}, {16.0: 0, 16.1: 1}),
    ("ranson", "glucose_mg_dl", {}, {200: 0, 201: 1}),
    ("ranson", "ldh_u_l", {}, {350: 0, 351: 1}),
    ("ranson", "ast_u_l", {}, {250: 0, 251: 1}),
    ("ranson", "haematocrit_fall_percent", {}, {10.0: 0, 10.1: 1}),
    ("ranson", "bun_rise_mg_dl", {}, {5.0: 0, 5.1: 1}),
    ("ranson", "base_deficit_mmol_l", {}, {4.0: 0, 4.1: 1}),
    ("ranson", "sequestration_l", {}, {6.0: 0, 6.1: 1}),
    ("ranson", "calcium_mg_dl", {}, {8.0: 0, 7.9: 1}),
    ("ranson", "pao2_mmhg", {}, {60: 0, 59: 1}),
    ("kdigo", "current_mg_dl", {}, {1.19: 0, 1.2: 1, 1.59: 1, 1.6: 2, 2.39: 2, 2.4: 3}),
    ("kdigo", "current_mg_dl", {"baseline_mg_dl": 3.0}, {4.0: 0, 4.5: 3}),
    ("kdigo", "current_mg_dl", {"baseline_mg_dl": 3.0, "rise_48h_mg_dl": 0.3}, {3.99: 1, 4.0: 3}),
    ("kdigo", "rise_48h_mg_dl", {}, {0.29: 0, 0.3: 1}),
    ("kdigo", "urine_hours", {"urine_ml_kg_h": 0.49}, {5: 0, 6: 1, 11: 1, 12: 2, 24: 2}),
    ("kdigo", "urine_hours", {"urine_ml_kg_h": 0.29}, {23: 2, 24: 3}),
    ("kdigo", "urine_hours", {"urine_ml_kg_h": 0.3}, {24: 2}),
    ("kdigo", "urine_hours", {"urine_ml_kg_h": 0.0}, {11: 1, 12: 3}),
    ("kdigo", "urine_ml_kg_h", {"urine_hours": 12}, {0.5: 0, 0.49: 2}),
    ("kdigo", "dialysis", {}, {True: 3}),
    ("has_bled", "age", {}, {65: 0, 66: 1}),
    ("cha2ds2_vasc", "age", {}, {64: 0, 65: 1, 74: 1, 75: 2}),
    ("cha2ds2_vasc", "stroke", {}, {True: 2}),
    ("cha2ds2_vasc", "female", {}, {True: 1}),
    ("wells_pe", "pulse", {"dvt_signs": True}, {100: 3, 101: 4.5}),
    ("wells_pe", "alternative_less_likely", {}, {True: 3}),
    ("wells_pe", "immobile", {"previous_vte": True}, {True: 3}),
    ("wells_pe", "cancer", {"haemoptysis": True}, {True: 2}),
    ("wells_dvt", "alternative_as_likely", {"cancer": True}, {False: 1, True: -1}),
    ("alvarado", "tenderness", {}, {True: 2}),
    ("alvarado", "leucocytosis", {}, {True: 2}),
    ("alvarado", "migration", {}, {True: 1}),
]
GROUPS: list[tuple[str, dict[str, Any], str]] = [
    ("news2", {}, "low"),
    ("news2", {"temp_c": 39.1, "pulse": 111}, "low"),
    ("news2", {"rr": 25}, "low-medium"),
    ("news2", {"temp_c": 39.1, "rr": 25}, "medium"),
    ("news2", {"avpu": "voice", "rr": 25}, "medium"),
    ("news2", {"avpu": "voice", "rr": 25, "temp_c": 38.1}, "high"),
    ("qsofa", {"rr": 22}, "negative"),
    ("qsofa", {"rr": 22, "gcs": 14}, "positive"),
    ("sirs", {"rr": 21}, "negative"),
    ("sirs", {"rr": 21, "pulse": 91}, "positive"),
    ("grace", {"age": 91}, "low"),
    ("grace", {"age": 91, "creatinine_mg_dl": 0.9}, "low"),
    ("grace", {"age": 91, "pulse": 75}, "intermediate"),
    ("grace", {"age": 91, "arrest": True}, "intermediate"),
    ("grace", {"age": 91, "arrest": True, "pulse": 55}, "high"),
    ("wells_pe", {"dvt_signs": True, "haemoptysis": True}, "unlikely"),
    ("wells_pe", {"dvt_signs": True, "immobile": True}, "likely"),
    ("wells_dvt", {"cancer": True}, "unlikely"),
    ("wells_dvt", {"cancer": True, "pitting": True}, "likely"),
    ("perc", {}, "negative"),
    ("perc", {"oestrogen": True}, "positive"),
    ("spesi", {}, "low"),
    ("spesi", {"cancer": True}, "high"),
    ("curb65", {"age": 65}, "low"),
    ("curb65", {"age": 65, "confusion": True}, "moderate"),
    ("curb65", {"age": 65, "confusion": True, "rr": 30}, "severe"),
    ("child_pugh", {"ascites": "slight"}, "A"),
    ("child_pugh", {"ascites": "moderate"}, "B"),
    ("child_pugh", {"ascites": "moderate", "encephalopathy": "grade_3_4"}, "B"),
    ("child_pugh", {"ascites": "moderate", "encephalopathy": "grade_3_4", "inr": 1.7}, "C"),
    ("heart", {"age": 46, "history": "high"}, "low"),
    ("heart", {"age": 65, "history": "high"}, "moderate"),
    ("heart", {"age": 65, "history": "high", "ecg": "st_deviation"}, "moderate"),
    ("heart", {"age": 65, "history": "high", "ecg": "st_deviation", "risk_factors": 1}, "high"),
    ("alvarado", {"tenderness": True, "leucocytosis": True}, "unlikely"),
    ("alvarado", {"tenderness": True, "leucocytosis": True, "fever": True}, "possible"),
    ("alvarado", {"tenderness": True, "leucocytosis": True, "fever": True, "nausea": True}, "possible"),
    (
        "alvarado",
        {"tenderness": True, "leucocytosis": True, "fever": True, "nausea": True, "rebound": True},
        "probable",
    ),
]


@pytest.mark.parametrize(("name", "changed", "others", "points"), LIMITS)
def test_both_sides_of_a_limit(name: str, changed: str, others: dict[str, Any], points: dict[Any, float]) -> None:
    given = {value: {**NORMAL[name], **others, changed: value} for value in points}
    assert {value: SCORES[name](inputs).value for value, inputs in given.items()} == points
    assert {value: FOUND[name](inputs)[0] for value, inputs in given.items()} == points


@pytest.mark.parametrize(("name", "others", "group"), GROUPS)
def test_the_group_of_a_total(name: str, others: dict[str, Any], group: str) -> None:
    inputs = {**NORMAL[name], **others}
    assert (SCORES[name](inputs).group, FOUND[name](inputs)[1]) == (group, group)


@pytest.mark.parametrize("name", sorted(NORMAL))
def test_a_normal_patient_earns_the_least(name: str) -> None:
    least = {"grace": 1, "child_pugh": 5}.get(name, 0)
    assert SCORES[name](NORMAL[name]).value == FOUND[name](NORMAL[name])[0] == least


def test_every_limit_of_a_score_that_counts_points_is_tried() -> None:
    flags_only = {"gcs"}
    counted = {name for name, score in SCORES.items() if score.unit in ("points", "criteria")} - {"meld3"}
    assert counted - flags_only <= set(NORMAL)
    tried = {(name, changed) for name, changed, _, _ in LIMITS}
    numbers = {
        (name, one.name)
        for name in counted - flags_only
        for one in SCORES[name].inputs
        if one.kind == "number" and one.name != "scale"
    }
    assert numbers <= tried
