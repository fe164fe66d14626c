"""Abdomen: Alvarado, Ranson, BISAP, Glasgow-Blatchford, Child-Pugh, MELD 3.0."""

from __future__ import annotations

from math import log

from envs.clinic.scores.score import Bands, Groups, Result, Score, added, choice, flag, number

_ALVARADO = {
    "migration": ("pain moves to the right lower quadrant", 1),
    "anorexia": ("or acetone in the urine", 1),
    "nausea": ("or vomiting", 1),
    "tenderness": ("in the right lower quadrant", 2),
    "rebound": ("rebound pain", 1),
    "fever": ("raised temperature", 1),
    "leucocytosis": ("above 10 x 10^3/uL", 2),
    "left_shift": ("neutrophils above 75 %", 1),
}


def _alvarado(**present: bool) -> Result:
    groups = Groups(tops=(4, 6), names=("unlikely", "possible", "probable"))
    return added({name: points * present[name] for name, (_, points) in _ALVARADO.items()}, groups)


ALVARADO = Score(
    name="alvarado",
    title="Alvarado",
    unit="points",
    sources=("Alvarado, Ann Emerg Med 1986;15:557",),
    inputs=tuple(flag(name, about) for name, (about, _) in _ALVARADO.items()),
    compute=_alvarado,
)
_AT_48_H = {
    "haematocrit_fall_percent": (number("haematocrit_fall_percent", "fall in 48 h, percentage points", 0, 40, 1), 10),
    "bun_rise_mg_dl": (number("bun_rise_mg_dl", "rise in 48 h, mg/dL", 0, 100, 1), 5),
    "base_deficit_mmol_l": (number("base_deficit_mmol_l", "in 48 h, mmol/L", 0, 30, 1), 4),
    "sequestration_l": (number("sequestration_l", "fluid in 48 h, L", 0, 30, 1), 6),
}
_ADMISSION = {
    "age": (number("age", "years", 18, 110), 55),
    "wbc_k_ul": (number("wbc_k_ul", "leucocytes, 10^3/uL", 0, 200, 1), 16),
    "glucose_mg_dl": (number("glucose_mg_dl", "mg/dL", 20, 2000), 200),
    "ldh_u_l": (number("ldh_u_l", "U/L", 50, 10000), 350),
    "ast_u_l": (number("ast_u_l", "U/L", 5, 20000), 250),
}
_ABOVE = {**_ADMISSION, **_AT_48_H}
_BELOW = {
    "calcium_mg_dl": (number("calcium_mg_dl", "lowest in 48 h, mg/dL", 2, 15, 1), 8),
    "pao2_mmhg": (number("pao2_mmhg", "lowest in 48 h", 20, 600), 60),
}


def _ranson(**values: float) -> Result:
    parts = {
        name: Bands(limits=(limit,), points=(0, 1), upper=True).of(values[name]) for name, (_, limit) in _ABOVE.items()
    }
    parts |= {name: Bands(limits=(limit,), points=(1, 0)).of(values[name]) for name, (_, limit) in _BELOW.items()}
    return added(parts)


RANSON = Score(
    name="ranson",
    title="Ranson",
    unit="criteria",
    sources=("Ranson et al., Surg Gynecol Obstet 1974;139:69",),
    notes="The eleven criteria of pancreatitis that gallstones did not cause.",
    inputs=tuple(one for one, _ in (*_ABOVE.values(), *_BELOW.values())),
    compute=_ranson,
)


def _bisap(*, bun_mg_dl: float, gcs: int, sirs_criteria: int, age: int, pleural_effusion: bool) -> Result:
    return added(
        {
            "urea nitrogen": Bands(limits=(25,), points=(0, 1), upper=True).of(bun_mg_dl),
            "mental status": Bands(limits=(15,), points=(1, 0)).of(gcs),
            "SIRS": Bands(limits=(2,), points=(0, 1)).of(sirs_criteria),
            "age": Bands(limits=(60,), points=(0, 1), upper=True).of(age),
            "effusion": int(pleural_effusion),
        }
    )


BISAP = Score(
    name="bisap",
    title="BISAP",
    unit="points",
    sources=("Wu et al., Gut 2008;57:1698",),
    inputs=(
        number("bun_mg_dl", "urea nitrogen, mg/dL", 1, 250, 1),
        number("gcs", "Glasgow coma scale", 3, 15),
        number("sirs_criteria", "count", 0, 4),
        number("age", "years", 18, 110),
        flag("pleural_effusion", "on imaging"),
    ),
    compute=_bisap,
)
_UREA = Bands(limits=(6.5, 8.0, 10.0, 25.0), points=(0, 2, 3, 4, 6))
_HAEMOGLOBIN = {
    "male": Bands(limits=(10, 12, 13), points=(6, 3, 1, 0)),
    "female": Bands(limits=(10, 12), points=(6, 1, 0)),
}


def _blatchford(
    *,
    urea_mmol_l: float,
    haemoglobin_g_dl: float,
    sex: str,
    sbp_mmhg: int,
    pulse: int,
    melaena: bool,
    syncope: bool,
    liver_disease: bool,
    heart_failure: bool,
) -> Result:
    return added(
        {
            "urea": _UREA.of(urea_mmol_l),
            "haemoglobin": _HAEMOGLOBIN[sex].of(haemoglobin_g_dl),
            "pressure": Bands(limits=(90, 100, 110), points=(3, 2, 1, 0)).of(sbp_mmhg),
            "pulse": Bands(limits=(100,), points=(0, 1)).of(pulse),
            "melaena": int(melaena),
            "syncope": 2 * syncope,
            "liver disease": 2 * liver_disease,
            "heart failure": 2 * heart_failure,
        }
    )


BLATCHFORD = Score(
    name="blatchford",
    title="Glasgow-Blatchford",
    unit="points",
    sources=("Blatchford, Murray and Blatchford, Lancet 2000;356:1318",),
    inputs=(
        number("urea_mmol_l", "urea, mmol/L", 0.5, 80, 1),
        number("haemoglobin_g_dl", "g/dL", 2, 22, 1),
        choice("sex", "", "female", "male"),
        number("sbp_mmhg", "systolic pressure", 0, 300),
        number("pulse", "beats/min", 0, 300),
        flag("melaena", "melaena"),
        flag("syncope", "syncope"),
        flag("liver_disease", "liver disease"),
        flag("heart_failure", "heart failure"),
    ),
    compute=_blatchford,
)
_ASCITES = {"none": 1, "slight": 2, "moderate": 3}
_ENCEPHALOPATHY = {"none": 1, "grade_1_2": 2, "grade_3_4": 3}


def _child_pugh(
    *, bilirubin_mg_dl: float, albumin_g_dl: float, inr: float, ascites: str, encephalopathy: str
) -> Result:
    above = Bands(limits=(3,), points=(0, 1), upper=True).of(bilirubin_mg_dl)
    low = Bands(limits=(2.8,), points=(1, 0)).of(albumin_g_dl)
    long = Bands(limits=(2.3,), points=(0, 1), upper=True).of(inr)
    return added(
        {
            "bilirubin": Bands(limits=(2,), points=(1, 2)).of(bilirubin_mg_dl) + above,
            "albumin": Bands(limits=(3.5,), points=(2, 1), upper=True).of(albumin_g_dl) + low,
            "INR": Bands(limits=(1.7,), points=(1, 2)).of(inr) + long,
            "ascites": _ASCITES[ascites],
            "encephalopathy": _ENCEPHALOPATHY[encephalopathy],
        },
        Groups(tops=(6, 9), names=("A", "B", "C")),
    )


CHILD_PUGH = Score(
    name="child_pugh",
    title="Child-Pugh",
    unit="points",
    sources=("Pugh et al., Br J Surg 1973;60:646",),
    notes="The paper has the prothrombin time in seconds; the INR bands <1.7, 1.7-2.3, >2.3 are those in use.",
    inputs=(
        number("bilirubin_mg_dl", "mg/dL", 0.1, 60, 1),
        number("albumin_g_dl", "g/dL", 0.5, 6, 1),
        number("inr", "INR", 0.5, 15, 1),
        choice("ascites", "", *_ASCITES),
        choice("encephalopathy", "", *_ENCEPHALOPATHY),
    ),
    compute=_child_pugh,
)


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _meld3(
    *,
    female: bool,
    bilirubin_mg_dl: float,
    sodium_mmol_l: int,
    inr: float,
    creatinine_mg_dl: float,
    albumin_g_dl: float,
) -> Result:
    bilirubin, ratio = log(max(bilirubin_mg_dl, 1)), log(max(inr, 1))
    creatinine = log(_within(creatinine_mg_dl, 1, 3))
    lacking_sodium = 137 - _within(sodium_mmol_l, 125, 137)
    lacking_albumin = 3.5 - _within(albumin_g_dl, 1.5, 3.5)
    value = (
        1.33 * female
        + 4.56 * bilirubin
        + 0.82 * lacking_sodium
        - 0.24 * lacking_sodium * bilirubin
        + 9.09 * ratio
        + 11.14 * creatinine
        + 1.85 * lacking_albumin
        - 1.83 * lacking_albumin * creatinine
        + 6
    )
    return Result(value=_within(value, 6, 40))


MELD3 = Score(
    name="meld3",
    formula="1.33 if female + 4.56 ln bilirubin + 0.82 (137 - Na) - 0.24 (137 - Na) ln bilirubin + 9.09 "
    "ln INR + 11.14 ln Cr + 1.85 (3.5 - albumin) - 1.83 (3.5 - albumin) ln Cr + 6; bilirubin, "
    "INR and Cr at least 1, Cr at most 3, Na 125 to 137, albumin 1.5 to 3.5; result 6 to 40",
    title="MELD 3.0",
    unit="points",
    sources=("Kim et al., Gastroenterology 2021;161:1887",),
    notes="Before rounding. Dialysis counts as a creatinine of 3.0, which the caller gives.",
    inputs=(
        flag("female", "sex"),
        number("bilirubin_mg_dl", "mg/dL", 0.1, 60, 1),
        number("sodium_mmol_l", "mmol/L", 90, 190),
        number("inr", "INR", 0.5, 15, 1),
        number("creatinine_mg_dl", "mg/dL", 0.1, 25, 2),
        number("albumin_g_dl", "g/dL", 0.5, 6, 1),
    ),
    compute=_meld3,
)
SCORES = (ALVARADO, RANSON, BISAP, BLATCHFORD, CHILD_PUGH, MELD3)
