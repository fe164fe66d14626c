"""What a chart's rows are: codes, units, and which tool shows them."""

from __future__ import annotations

from common.records import Record
from envs.clinic.chart.names import FLUIDS, INFUSIONS, LABS, VITALS

MG_DL, UMOL_L, MMOL_L = "mg/dL", "umol/L", "mmol/L"
UMOL_PER_MG = {"creatinine": 88.4, "bilirubin": 17.1}
"""umol/L of one mg/dL, from the molar masses 113.1 and 584.7 g/mol."""


class Code(Record):
    """A kind of row: the tool that shows it, its unit, decimals; `words` stand for the values 0, 1, 2, ..."""

    tool: str
    unit: str
    decimals: int = 0
    words: tuple[str, ...] = ()


CONSCIOUSNESS = ("alert", "confusion", "voice", "pain", "unresponsive")
CODES = {
    "pao2": Code(tool=LABS, unit="mmHg"),
    "fio2": Code(tool=LABS, unit="%"),
    "platelets": Code(tool=LABS, unit="10^3/uL"),
    "bilirubin": Code(tool=LABS, unit=MG_DL, decimals=1),
    "creatinine": Code(tool=LABS, unit=MG_DL, decimals=1),
    "sodium": Code(tool=LABS, unit=MMOL_L),
    "potassium": Code(tool=LABS, unit=MMOL_L, decimals=1),
    "calcium": Code(tool=LABS, unit=MG_DL, decimals=1),
    "magnesium": Code(tool=LABS, unit=MG_DL, decimals=1),
    "lactate": Code(tool=LABS, unit=MMOL_L, decimals=1),
    "troponin": Code(tool=LABS, unit="ng/L"),
    "rr": Code(tool=VITALS, unit="/min"),
    "spo2": Code(tool=VITALS, unit="%"),
    "oxygen": Code(tool=VITALS, unit="", words=("no", "yes")),
    "sbp": Code(tool=VITALS, unit="mmHg"),
    "map": Code(tool=VITALS, unit="mmHg"),
    "pulse": Code(tool=VITALS, unit="/min"),
    "temp": Code(tool=VITALS, unit="C", decimals=1),
    "gcs": Code(tool=VITALS, unit=""),
    "consciousness": Code(tool=VITALS, unit="", words=CONSCIOUSNESS),
    "ventilated": Code(tool=VITALS, unit="", words=("no", "yes")),
    "norepinephrine": Code(tool=INFUSIONS, unit="ug/kg/min", decimals=2),
    "epinephrine": Code(tool=INFUSIONS, unit="ug/kg/min", decimals=2),
    "dopamine": Code(tool=INFUSIONS, unit="ug/kg/min", decimals=1),
    "dobutamine": Code(tool=INFUSIONS, unit="ug/kg/min", decimals=1),
    "oral": Code(tool=FLUIDS, unit="mL"),
    "infused": Code(tool=FLUIDS, unit="mL"),
    "urine": Code(tool=FLUIDS, unit="mL"),
    "drain": Code(tool=FLUIDS, unit="mL"),
}
PRESSORS = tuple(code for code, about in CODES.items() if about.tool == INFUSIONS)
INTAKE, OUTPUT = ("oral", "infused"), ("urine", "drain")


def in_mg_dl(code: str, value: float, unit: str) -> float:
    """A value in mg/dL, to one decimal."""
    return value if unit == MG_DL else round(value / UMOL_PER_MG[code], 1)


def in_umol_l(code: str, mg_dl: float) -> int:
    """A value in umol/L; `in_mg_dl` gives back the tenths of mg/dL."""
    return round(mg_dl * UMOL_PER_MG[code])
