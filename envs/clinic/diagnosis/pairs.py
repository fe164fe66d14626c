"""Pairs of conditions that one finding tells apart: what both patients have, and the finding's two values.

Numbers are ranges, drawn on the finding's grid, close to the limit on either side where the criteria have one. Each
condition of a complaint is in two or three pairs, so that none is much commoner than the others.
"""

from __future__ import annotations

from collections.abc import Mapping

from common.records import Record

Value = str | tuple[float, float]


class Pair(Record):
    """`codes` of the two, the graver first; `values` of the finding `tells`; `both` of others."""

    complaint: str
    codes: tuple[str, str]
    tells: str
    values: tuple[Value, Value]
    both: Mapping[str, Value] = {}
    sex: str = ""
    ages: tuple[int, int] = (30, 85)


def _pair(complaint: str, codes: str, tells: str, first: Value, second: Value, **both: Value) -> Pair:
    graver, other = codes.split()
    return Pair(complaint=complaint, codes=(graver, other), tells=tells, values=(first, second), both=both)


_CHEST, _BREATH, _HEAD, _WEAK, _BELLY, _MIND = (
    "chest pain",
    "shortness of breath",
    "headache",
    "sudden weakness",
    "abdominal pain",
    "confusion",
)
HIGH: Value = (40, 900)
_COUGH: dict[str, Value] = {"cough": "days"}
_FLUID: dict[str, Value] = {"chest_xray": "congestion", "nt_probnp": (900, 6000)}
_STUNG: dict[str, Value] = {"lungs": "wheeze", "exposure": "sting"}
_FAILING: dict[str, Value] = {"cough": "days", "nt_probnp": (900, 6000), "ejection_fraction": (25, 40)}
_USUAL: Value = (0.67, 0.74)
_MENINGEAL: dict[str, Value] = {"headache": "dull", "temp": (38.2, 39.6)}
_BILIARY: dict[str, Value] = {"belly_pain": "right_upper", "crp": (30, 140)}
_ACID: dict[str, Value] = {"ph": (7.31, 7.35), "bicarbonate": (15, 17)}
_RESOLVED: dict[str, Value] = {"weakness": "resolved"}
_LASTING: dict[str, Value] = {"weakness": "lasting"}
PAIRS = (
    _pair(_CHEST, "I21.19 I21.4", "ecg", "inferior", "depression", chest_pain="ischaemic", troponin_t_3h=HIGH),
    _pair(_CHEST, "I21.19 I21.4", "ecg", "inferior", "normal", chest_pain="ischaemic", troponin_t_3h=HIGH),
    _pair(_CHEST, "I21.4 I20.0", "troponin_t_3h", (15, 26), (10, 14), chest_pain="ischaemic", ecg="depression"),
    _pair(_CHEST, "I20.0 R07.9", "chest_pain", "ischaemic", "wall"),
    _pair(_CHEST, "I30.9 R07.9", "heart", "rub", "normal", chest_pain="pleuritic"),
    _pair(_CHEST, "I30.9 R07.9", "effusion", "some", "none", chest_pain="pleuritic"),
    _pair(_CHEST, "I26.99 R07.9", "ct_chest", "embolus", "normal", chest_pain="pleuritic"),
    _pair(_CHEST, "I71.00 I26.99", "ct_chest", "flap", "embolus", chest_pain="ischaemic"),
    _pair(_CHEST, "I71.00 I26.99", "ct_chest", "flap", "embolus", chest_pain="pleuritic"),
    _pair(_CHEST, "I71.00 I20.0", "ct_chest", "flap", "normal", chest_pain="ischaemic", ecg="normal"),
    _pair(_BREATH, "J18.9 J20.9", "chest_xray", "infiltrate", "normal", **_COUGH),
    _pair(_BREATH, "J18.9 J44.1", "chest_xray", "infiltrate", "normal", fev1_fvc_percent=(55, 68), **_COUGH),
    _pair(_BREATH, "J44.1 J20.9", "fev1_fvc_percent", (65, 69), (70, 74), **_COUGH),
    _pair(_BREATH, "J45.901 J20.9", "reversibility", (12, 16), (8, 11), lungs="wheeze", **_COUGH),
    _pair(_BREATH, "T78.2XXA J45.901", "skin", "hives", "normal", reversibility=(16, 24), **_STUNG),
    _pair(_BREATH, "T78.2XXA J45.901", "skin", "hives", "normal", reversibility=(12, 15), **_STUNG),
    _pair(_BREATH, "I50.23 I50.33", "ejection_fraction", (34, 40), (50, 56), **_FLUID),
    _pair(_BREATH, "I50.23 J18.9", "chest_xray", "congestion", "infiltrate", **_FAILING),
    _pair(_BREATH, "I50.33 I50.23", "ejection_fraction", (50, 62), (28, 40), **_FLUID),
    _pair(_BREATH, "I26.99 R06.02", "ct_chest", "embolus", "normal"),
    _pair(_BREATH, "I26.99 R06.02", "ct_chest", "embolus", "normal", chest_pain="pleuritic"),
    _pair(_HEAD, "I60.9 I61.9", "head_imaging", "subarachnoid", "intracerebral", headache="thunderclap"),
    _pair(_HEAD, "I60.9 I61.9", "head_imaging", "subarachnoid", "intracerebral", headache="dull"),
    _pair(_HEAD, "I60.9 R51.9", "csf_colour", "xanthochromic", "clear", headache="thunderclap"),
    _pair(_HEAD, "G00.9 A87.9", "csf_glucose_ratio", (0.12, 0.22), _USUAL, csf_leucocytes=(90, 900), **_MENINGEAL),
    _pair(_HEAD, "G00.9 A87.9", "csf_glucose_ratio", (0.15, 0.22), _USUAL, csf_leucocytes=(12, 90), **_MENINGEAL),
    _pair(_HEAD, "A87.9 R51.9", "csf_leucocytes", (6, 12), (3, 5), **_MENINGEAL),
    _pair(_HEAD, "G43.909 G44.209", "headache", "migrainous", "pressing", earlier_headaches="dozens"),
    _pair(_HEAD, "G43.909 G44.209", "headache", "migrainous", "pressing", earlier_headaches="dozens", esr=(16, 28)),
    _pair(_HEAD, "M31.6 R51.9", "esr", (50, 58), (42, 49), headache="temporal", temples="artery"),
    _pair(_HEAD, "M31.6 R51.9", "temples", "artery", "normal", headache="temporal", esr=(60, 95)),
    _pair(_WEAK, "I61.9 I63.9", "head_imaging", "intracerebral", "infarct", **_LASTING),
    _pair(_WEAK, "I62.00 I61.9", "head_imaging", "subdural", "intracerebral", **_LASTING),
    _pair(_WEAK, "I62.00 I61.9", "head_imaging", "subdural", "intracerebral", seizure="seen", **_LASTING),
    _pair(_WEAK, "I62.00 I63.9", "head_imaging", "subdural", "infarct", **_LASTING),
    _pair(_WEAK, "I63.9 G45.9", "head_imaging", "infarct", "normal", **_RESOLVED),
    _pair(_WEAK, "G83.84 G45.9", "seizure", "seen", "none", **_RESOLVED),
    _pair(_WEAK, "E11.649 G83.84", "glucose", (38, 53), (54, 66), seizure="seen", **_RESOLVED),
    _pair(_WEAK, "E11.649 G45.9", "glucose", (38, 53), (54, 66), **_RESOLVED),
    _pair(_BELLY, "K35.80 K57.32", "ct_abdomen", "appendix", "diverticulitis", belly_pain="lower", crp=(30, 120)),
    _pair(_BELLY, "K56.609 K57.32", "ct_abdomen", "obstruction", "diverticulitis", belly_pain="cramps"),
    _pair(_BELLY, "K56.609 N20.1", "ct_abdomen", "obstruction", "stone", belly_pain="cramps"),
    _pair(_BELLY, "K35.80 N20.1", "ct_abdomen", "appendix", "stone", belly_pain="lower"),
    _pair(_BELLY, "K81.0 K80.20", "ultrasound", "cholecystitis", "stones", **_BILIARY),
    _pair(_BELLY, "K81.0 K80.20", "ultrasound", "cholecystitis", "stones", belly="murphy", **_BILIARY),
    _pair(_BELLY, "K85.90 K80.20", "lipase", (180, 230), (130, 179), belly_pain="epigastric", ultrasound="stones"),
    _pair(_BELLY, "K85.90 R10.9", "lipase", (180, 230), (130, 179), belly_pain="epigastric"),
    _pair(_BELLY, "N10 R10.9", "urine_leucocytes", (10, 22), (4, 9), belly_pain="flank", temp=(38.2, 39.8)),
    _pair(_BELLY, "N10 R10.9", "temp", (38.0, 38.6), (37.3, 37.9), belly_pain="flank", urine_leucocytes=(20, 400)),
    _pair(_MIND, "E11.10 E11.00", "hydroxybutyrate", (3.0, 3.6), (2.3, 2.9), glucose=(600, 760), **_ACID),
    _pair(_MIND, "E11.00 E11.65", "glucose", (600, 650), (540, 599), sodium=(138, 146), hydroxybutyrate=(0.4, 1.8)),
    _pair(_MIND, "E11.10 E11.65", "hydroxybutyrate", (3.0, 3.6), (2.3, 2.9), glucose=(260, 480), **_ACID),
    _pair(_MIND, "E11.649 R41.0", "glucose", (38, 53), (54, 66)),
    _pair(_MIND, "E11.649 R41.0", "glucose", (30, 50), (70, 96)),
    _pair(_MIND, "E87.1 R41.0", "sodium", (119, 124), (125, 129)),
    _pair(_MIND, "E27.2 E87.1", "cortisol", (1.2, 4.9), (5.0, 8.5), sodium=(117, 124), sbp=(82, 99)),
    _pair(_MIND, "E27.2 E87.1", "cortisol", (1.2, 4.9), (12.0, 26.0), sodium=(117, 124), sbp=(82, 99)),
    *(
        Pair(
            complaint=_BELLY,
            codes=("O00.90", "N83.209"),
            tells="hcg",
            values=values,
            both={"belly_pain": "lower", "ultrasound": "adnexal_mass"},
            sex="female",
            ages=(18, 44),
        )
        for values in (((26, 60), (6, 25)), ((900, 4000), (0, 3)))
    ),
)
SIMPLE: Mapping[str, Mapping[str, str]] = {
    "ct_abdomen": {"appendix": "K35.80", "diverticulitis": "K57.32", "obstruction": "K56.609", "stone": "N20.1"},
    "ultrasound": {"cholecystitis": "K81.0", "stones": "K80.20"},
}
"""The tier `first`: its two studies, and the code that each of their findings means."""
_SIMPLE_CODES = (("K35.80", "K57.32"), ("K56.609", "N20.1"), ("K81.0", "K80.20"))
SIMPLE_PAIRS = tuple(next(at for at, pair in enumerate(PAIRS) if pair.codes == codes) for codes in _SIMPLE_CODES)
"""Its pairs, by their place in PAIRS: each code is that of a sixth of the cases."""
