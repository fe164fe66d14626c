"""Acute coronary syndromes: GRACE in hospital, HEART. Atrial fibrillation: CHA2DS2-VASc, HAS-BLED."""

from __future__ import annotations

from envs.clinic.scores.score import Bands, Groups, Result, Score, added, choice, flag, number

_KILLIP = {1: 0, 2: 20, 3: 39, 4: 59}
_SBP = Bands(limits=(80, 100, 120, 140, 160, 200), points=(58, 53, 43, 34, 24, 10, 0))
_PULSE = Bands(limits=(50, 70, 90, 110, 150, 200), points=(0, 3, 9, 15, 24, 38, 46))
_AGE = Bands(limits=(30, 40, 50, 60, 70, 80, 90), points=(0, 8, 25, 41, 58, 75, 91, 100))
_CREATININE = Bands(limits=(0.4, 0.8, 1.2, 1.6, 2.0, 4.0), points=(1, 4, 7, 10, 13, 21, 28))


def _grace(
    *,
    age: int,
    pulse: int,
    sbp_mmhg: int,
    creatinine_mg_dl: float,
    killip: int,
    arrest: bool,
    st_deviation: bool,
    raised_enzymes: bool,
) -> Result:
    return added(
        {
            "Killip class": _KILLIP[killip],
            "pressure": _SBP.of(sbp_mmhg),
            "pulse": _PULSE.of(pulse),
            "age": _AGE.of(age),
            "creatinine": _CREATININE.of(creatinine_mg_dl),
            "arrest": 39 * arrest,
            "ST deviation": 28 * st_deviation,
            "enzymes": 14 * raised_enzymes,
        },
        Groups(tops=(108, 140), names=("low", "intermediate", "high")),
    )


GRACE = Score(
    name="grace",
    title="GRACE in-hospital death",
    unit="points",
    sources=("Granger et al., Arch Intern Med 2003;163:2345",),
    notes="Groups for non-ST-elevation syndromes. The paper prints <=80 mmHg beside 80-99, <=50 beats beside 50-69, "
    "<=30 years beside 30-39 and >4 mg/dL beside 2.00-3.99: these values are counted with the range that they begin, "
    "and no task has one.",
    inputs=(
        number("age", "years", 18, 110),
        number("pulse", "beats/min", 20, 260),
        number("sbp_mmhg", "systolic pressure", 30, 280),
        number("creatinine_mg_dl", "mg/dL", 0.1, 20, 2),
        number("killip", "Killip class: 1 no failure, 2 rales, 3 oedema, 4 shock", 1, 4),
        flag("arrest", "cardiac arrest at admission"),
        flag("st_deviation", "ST deviation"),
        flag("raised_enzymes", "raised cardiac enzymes"),
    ),
    compute=_grace,
)
_FACTORS = Bands(limits=(1, 3), points=(0, 1, 2))
_HISTORY = {"slight": 0, "moderate": 1, "high": 2}
_ECG = {"normal": 0, "nonspecific": 1, "st_deviation": 2}


def _heart(
    *, history: str, ecg: str, age: int, risk_factors: int, atherosclerosis: bool, troponin_ratio: float
) -> Result:
    return added(
        {
            "history": _HISTORY[history],
            "ECG": _ECG[ecg],
            "age": Bands(limits=(45, 65), points=(0, 1, 2)).of(age),
            "risk factors": 2 if atherosclerosis else _FACTORS.of(risk_factors),
            "troponin": Bands(limits=(1, 3), points=(0, 1, 2), upper=True).of(troponin_ratio),
        },
        Groups(tops=(3, 6), names=("low", "moderate", "high")),
    )


HEART = Score(
    name="heart",
    title="HEART",
    unit="points",
    sources=("Six et al., Neth Heart J 2008;16:191", "Backus et al., Int J Cardiol 2013;168:2153"),
    notes="Papers disagree on 45 years and on a troponin of three times the limit: both are in no task.",
    inputs=(
        choice("history", "suspicion by history", *_HISTORY),
        choice("ecg", "nonspecific repolarisation, or significant ST deviation", *_ECG),
        number("age", "years", 18, 110),
        number("risk_factors", "count", 0, 6),
        flag("atherosclerosis", "known atherosclerotic disease"),
        number("troponin_ratio", "times the upper limit of normal", 0, 1000, 1),
    ),
    compute=_heart,
)


def _cha2ds2_vasc(
    *,
    age: int,
    female: bool,
    heart_failure: bool,
    hypertension: bool,
    diabetes: bool,
    stroke: bool,
    vascular_disease: bool,
) -> Result:
    return added(
        {
            "heart failure": int(heart_failure),
            "hypertension": int(hypertension),
            "age": Bands(limits=(65, 75), points=(0, 1, 2)).of(age),
            "diabetes": int(diabetes),
            "stroke": 2 * stroke,
            "vascular disease": int(vascular_disease),
            "sex": int(female),
        }
    )


CHA2DS2_VASC = Score(
    name="cha2ds2_vasc",
    title="CHA2DS2-VASc",
    unit="points",
    sources=("Lip et al., Chest 2010;137:263",),
    inputs=(
        number("age", "years", 18, 110),
        flag("female", "sex"),
        flag("heart_failure", "heart failure or left ventricular dysfunction"),
        flag("hypertension", "hypertension"),
        flag("diabetes", "diabetes"),
        flag("stroke", "stroke, TIA or thromboembolism before"),
        flag("vascular_disease", "infarction, peripheral artery disease or aortic plaque"),
    ),
    compute=_cha2ds2_vasc,
)
_BLEEDING = {
    "hypertension": "systolic pressure above 160 mmHg",
    "abnormal_renal": "dialysis, transplant or creatinine >= 200 umol/L",
    "abnormal_liver": "cirrhosis, or bilirubin > 2 x with enzymes > 3 x the limit",
    "stroke": "stroke before",
    "bleeding": "bleeding before, or a disposition to it",
    "labile_inr": "less than 60 % of the time in range",
    "drugs": "antiplatelet drugs or NSAIDs",
    "alcohol": "8 drinks a week or more",
}


def _has_bled(*, age: int, **present: bool) -> Result:
    parts = {name: int(present[name]) for name in _BLEEDING}
    return added({**parts, "age": Bands(limits=(65,), points=(0, 1), upper=True).of(age)})


HAS_BLED = Score(
    name="has_bled",
    title="HAS-BLED",
    unit="points",
    sources=("Pisters et al., Chest 2010;138:1093",),
    inputs=(number("age", "years", 18, 110), *(flag(name, about) for name, about in _BLEEDING.items())),
    compute=_has_bled,
)
SCORES = (GRACE, HEART, CHA2DS2_VASC, HAS_BLED)
