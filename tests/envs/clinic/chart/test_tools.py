from __future__ import annotations

from typing import Any

import pytest

from envs.clinic.chart.tools import CALCULATORS, WHOLE
from envs.clinic.world import as_json, world_of
from tests.envs.clinic.chart.strategies import TOOLS, drawn

CASE = drawn("reconciliation", 3)
STAY = {"hadm_id": CASE.truth.answer["stay"]}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "admissions": {"patient_id": CASE.world.patients[0].patient_id},
    "dose_table": {"drug": "meropenem"},
    "icd_lookup": {"code": "E87.5"},
    "reconcile": {**STAY, "keep": ["omeprazole"], "stop": [], "add": []},
    "submit_chart": {**STAY, "value": 3},
    "chart_labs": {**STAY, "code": "potassium"},
    "sofa": {"ventilated": False, "pressor": "none"},
    "qsofa": {"rr": 22, "sbp_mmhg": 90, "gcs": 14},
    "news2": {
        "rr": 16,
        "spo2_percent": 97,
        "scale": 1,
        "oxygen": False,
        "sbp_mmhg": 120,
        "pulse": 80,
        "avpu": "alert",
        "temp_c": 37,
    },
    "grace": {
        "age": 60,
        "pulse": 80,
        "sbp_mmhg": 120,
        "creatinine_mg_dl": 1.0,
        "killip": 1,
        "arrest": False,
        "st_deviation": True,
        "raised_enzymes": True,
    },
    "kdigo": {"baseline_mg_dl": 1, "current_mg_dl": 2, "rise_48h_mg_dl": 0.5, "dialysis": False},
    "egfr": {"creatinine_mg_dl": 1, "age": 60, "sex": "female"},
    "crcl": {"creatinine_mg_dl": 1, "age": 60, "sex": "female", "weight_kg": 70},
    "anion_gap": {"sodium_mmol_l": 140, "chloride_mmol_l": 100, "bicarbonate_mmol_l": 24},
}
SAID = {
    "icd_lookup": "Hyperkalemia",
    "reconcile": "Recorded: 1 kept, 0 stopped, 0 added.",
    "qsofa": "qSOFA 3 points (positive): respiration 1, pressure 1, mentation 1",
    "kdigo": "KDIGO stage of acute kidney injury 2 (0 = none): creatinine 2",
    "anion_gap": "Anion gap 16.0 mmol/L",
    "infusions": "Nothing is recorded.",
}


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_every_tool_answers_a_call(name: str) -> None:
    used = TOOLS[name].run(CASE.world, ARGUMENTS.get(name, STAY))
    assert not used.refused and (used.text or name == "submit_chart")
    assert used.text == SAID.get(name, used.text)


def test_a_code_filters_rows_and_rows_later_than_now_do_not_exist() -> None:
    shown = TOOLS["chart_labs"].run(CASE.world, {**STAY, "code": "potassium"}).text
    whole = TOOLS["chart_labs"].run(CASE.world, STAY).text
    assert shown and set(shown.split("\n")) < set(whole.split("\n")) and "creatinine" not in shown
    early = as_json(CASE.world) | {"clock_min": CASE.world.patients[0].readings[0].t_min}
    assert len(TOOLS["chart_labs"].run(world_of(early), STAY).text.split("\n")) < len(whole.split("\n"))


@pytest.mark.parametrize(
    "name", sorted(one.tool.name for one in WHOLE if "hadm_id" in one.tool.parameters["properties"])
)
def test_an_unknown_stay_is_refused(name: str) -> None:
    used = TOOLS[name].run(CASE.world, {**ARGUMENTS.get(name, {}), "hadm_id": "H1"})
    assert used.refused and used.text == "There is no admission H1."


def test_calculators_take_numbers_and_never_a_patient() -> None:
    for name in CALCULATORS:
        assert not {"hadm_id", "patient_id"} & TOOLS[name].tool.parameters["properties"].keys()
