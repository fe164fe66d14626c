"""Inputs of scores by which a patient earns the least."""

from __future__ import annotations

from typing import Any

from envs.clinic.scores.nerves import ITEMS

NORMAL: dict[str, dict[str, Any]] = {
    "sofa": {"ventilated": False, "pressor": "none"},
    "qsofa": {"rr": 16, "sbp_mmhg": 120, "gcs": 15},
    "sirs": {"temp_c": 37.0, "pulse": 80, "rr": 16, "wbc_k_ul": 8.0, "bands_percent": 2},
    "news2": {
        "rr": 16,
        "spo2_percent": 98,
        "scale": 1,
        "oxygen": False,
        "sbp_mmhg": 120,
        "pulse": 80,
        "avpu": "alert",
        "temp_c": 37.0,
    },
    "grace": {
        "age": 25,
        "pulse": 45,
        "sbp_mmhg": 210,
        "creatinine_mg_dl": 0.3,
        "killip": 1,
        "arrest": False,
        "st_deviation": False,
        "raised_enzymes": False,
    },
    "heart": {
        "history": "slight",
        "ecg": "normal",
        "age": 30,
        "risk_factors": 0,
        "atherosclerosis": False,
        "troponin_ratio": 0.5,
    },
    "curb65": {"confusion": False, "urea_mmol_l": 5.0, "rr": 16, "sbp_mmhg": 120, "dbp_mmhg": 80, "age": 40},
    "perc": {
        "age": 40,
        "pulse": 80,
        "spo2_percent": 98,
        **dict.fromkeys(("leg_swelling", "haemoptysis", "surgery_or_trauma", "previous_vte", "oestrogen"), False),
    },
    "spesi": {
        "age": 60,
        "cancer": False,
        "chronic_disease": False,
        "pulse": 80,
        "sbp_mmhg": 120,
        "spo2_percent": 97,
    },
    "centor": {"exudate": False, "tender_nodes": False, "temp_c": 37.0, "cough": True, "age": 30},
    "bisap": {"bun_mg_dl": 15.0, "gcs": 15, "sirs_criteria": 0, "age": 40, "pleural_effusion": False},
    "blatchford": {
        "urea_mmol_l": 5.0,
        "haemoglobin_g_dl": 15.0,
        "sex": "male",
        "sbp_mmhg": 120,
        "pulse": 80,
        **dict.fromkeys(("melaena", "syncope", "liver_disease", "heart_failure"), False),
    },
    "child_pugh": {
        "bilirubin_mg_dl": 1.0,
        "albumin_g_dl": 4.0,
        "inr": 1.0,
        "ascites": "none",
        "encephalopathy": "none",
    },
    "ranson": {
        "age": 40,
        "wbc_k_ul": 10.0,
        "glucose_mg_dl": 100,
        "ldh_u_l": 200,
        "ast_u_l": 50,
        "haematocrit_fall_percent": 2.0,
        "bun_rise_mg_dl": 1.0,
        "base_deficit_mmol_l": 1.0,
        "sequestration_l": 1.0,
        "calcium_mg_dl": 9.0,
        "pao2_mmhg": 90,
    },
    "kdigo": {"baseline_mg_dl": 0.8, "current_mg_dl": 0.8, "rise_48h_mg_dl": 0.0, "dialysis": False},
    "has_bled": {
        "age": 50,
        **dict.fromkeys(
            (
                "hypertension",
                "abnormal_renal",
                "abnormal_liver",
                "stroke",
                "bleeding",
                "labile_inr",
                "drugs",
                "alcohol",
            ),
            False,
        ),
    },
    "cha2ds2_vasc": {
        "age": 50,
        **dict.fromkeys(("female", "heart_failure", "hypertension", "diabetes", "stroke", "vascular_disease"), False),
    },
    "wells_pe": {
        "pulse": 80,
        **dict.fromkeys(
            ("dvt_signs", "alternative_less_likely", "immobile", "previous_vte", "haemoptysis", "cancer"), False
        ),
    },
    "wells_dvt": {
        **dict.fromkeys(
            (
                "cancer",
                "paralysis",
                "bedridden",
                "tenderness",
                "leg_swollen",
                "calf_3cm",
                "pitting",
                "collateral_veins",
                "previous_dvt",
                "alternative_as_likely",
            ),
            False,
        )
    },
    "nihss": dict.fromkeys(ITEMS, 0),
    "abcd2": {"age": 50, "sbp_mmhg": 120, "dbp_mmhg": 80, "signs": "other", "minutes": 5, "diabetes": False},
    "alvarado": dict.fromkeys(
        ("migration", "anorexia", "nausea", "tenderness", "rebound", "fever", "leucocytosis", "left_shift"), False
    ),
}
"""Inputs that earn the least; for GRACE the points of 45 beats (0), 210 mmHg (0), 25 years (0) and 0.3 mg/dL (1)."""
