"""Organ failure and sepsis: SOFA, qSOFA, SIRS."""

from __future__ import annotations

from envs.clinic.scores.score import Bands, Groups, Result, Score, added, choice, flag, number

_OXYGENATION = Bands(limits=(100, 200, 300, 400), points=(4, 3, 2, 1, 0))
_MOST_WITHOUT_SUPPORT = 2
_PLATELETS = Bands(limits=(20, 50, 100, 150), points=(4, 3, 2, 1, 0))
_BILIRUBIN = Bands(limits=(1.2, 2.0, 6.0, 12.0), points=(0, 1, 2, 3, 4))
_MAP = Bands(limits=(70,), points=(1, 0))
_PRESSOR = {
    "none": Bands(limits=(), points=(0,)),
    "dobutamine": Bands(limits=(), points=(2,)),
    "dopamine": Bands(limits=(5, 15), points=(2, 3, 4), upper=True),
    "epinephrine": Bands(limits=(0.1,), points=(3, 4), upper=True),
    "norepinephrine": Bands(limits=(0.1,), points=(3, 4), upper=True),
}
_GCS = Bands(limits=(6, 10, 13, 15), points=(4, 3, 2, 1, 0))
_CREATININE = Bands(limits=(1.2, 2.0, 3.5, 5.0), points=(0, 1, 2, 3, 4))
_URINE = Bands(limits=(200, 500), points=(4, 3, 0))
_NORMAL = {
    "pf": 500.0,
    "platelets": 250.0,
    "bilirubin": 0.5,
    "map": 90.0,
    "gcs": 15.0,
    "creatinine": 0.8,
    "urine": 1500.0,
}


def _or_normal(value: float | None, name: str) -> float:
    return _NORMAL[name] if value is None else value


def _sofa(
    *,
    pf_ratio_mmhg: float | None,
    ventilated: bool,
    platelets_k_ul: int | None,
    bilirubin_mg_dl: float | None,
    map_mmhg: int | None,
    pressor: str,
    dose_ug_kg_min: float | None,
    gcs: int | None,
    creatinine_mg_dl: float | None,
    urine_ml_day: int | None,
) -> Result:
    oxygenation = _OXYGENATION.of(_or_normal(pf_ratio_mmhg, "pf"))
    pressure = _MAP.of(_or_normal(map_mmhg, "map"))
    return added(
        {
            "respiration": oxygenation if ventilated else min(oxygenation, _MOST_WITHOUT_SUPPORT),
            "coagulation": _PLATELETS.of(_or_normal(platelets_k_ul, "platelets")),
            "liver": _BILIRUBIN.of(_or_normal(bilirubin_mg_dl, "bilirubin")),
            "circulation": max(pressure, _PRESSOR[pressor].of(dose_ug_kg_min or 0)),
            "brain": _GCS.of(_or_normal(gcs, "gcs")),
            "kidney": max(
                _CREATININE.of(_or_normal(creatinine_mg_dl, "creatinine")), _URINE.of(_or_normal(urine_ml_day, "urine"))
            ),
        }
    )


SOFA = Score(
    name="sofa",
    title="SOFA",
    unit="points",
    sources=("Vincent et al., Intensive Care Med 1996;22:707", "Singer et al., JAMA 2016;315:801 (table 1)"),
    notes="A part without a measurement counts 0, as in Sepsis-3. The printed ranges end at 11.9 and 4.9 and go on "
    "above 12.0 and 5.0 mg/dL: the values 12.0 and 5.0 are counted with the higher range, and no task has one.",
    inputs=(
        number("pf_ratio_mmhg", "PaO2 in mmHg / FiO2 as a fraction", 20, 700, 1, optional=True),
        flag("ventilated", "respiratory support"),
        number("platelets_k_ul", "10^3/uL", 1, 1500, optional=True),
        number("bilirubin_mg_dl", "total, mg/dL", 0.1, 60, 1, optional=True),
        number("map_mmhg", "mean arterial pressure", 20, 200, optional=True),
        choice("pressor", "running for an hour or more", *_PRESSOR),
        number("dose_ug_kg_min", "its dose", 0, 50, 2, optional=True),
        number("gcs", "Glasgow coma scale", 3, 15, optional=True),
        number("creatinine_mg_dl", "mg/dL", 0.1, 25, 1, optional=True),
        number("urine_ml_day", "mL in 24 h", 0, 10000, optional=True),
    ),
    compute=_sofa,
)


def _qsofa(*, rr: int, sbp_mmhg: int, gcs: int) -> Result:
    return added(
        {
            "respiration": Bands(limits=(22,), points=(0, 1)).of(rr),
            "pressure": Bands(limits=(100,), points=(1, 0), upper=True).of(sbp_mmhg),
            "mentation": Bands(limits=(15,), points=(1, 0)).of(gcs),
        },
        Groups(tops=(1,), names=("negative", "positive")),
    )


QSOFA = Score(
    name="qsofa",
    title="qSOFA",
    unit="points",
    sources=("Seymour et al., JAMA 2016;315:762", "Singer et al., JAMA 2016;315:801"),
    inputs=(
        number("rr", "breaths/min", 0, 80),
        number("sbp_mmhg", "systolic pressure", 0, 300),
        number("gcs", "Glasgow coma scale", 3, 15),
    ),
    compute=_qsofa,
)


def _sirs(
    *, temp_c: float, pulse: int, rr: int, paco2_mmhg: float | None, wbc_k_ul: float, bands_percent: int
) -> Result:
    carbon_dioxide = 0 if paco2_mmhg is None else Bands(limits=(32,), points=(1, 0)).of(paco2_mmhg)
    cells = Bands(limits=(4,), points=(1, 0)).of(wbc_k_ul) or Bands(limits=(12,), points=(0, 1), upper=True).of(
        wbc_k_ul
    )
    cold = Bands(limits=(36,), points=(1, 0)).of(temp_c)
    return added(
        {
            "temperature": cold or Bands(limits=(38,), points=(0, 1), upper=True).of(temp_c),
            "pulse": Bands(limits=(90,), points=(0, 1), upper=True).of(pulse),
            "respiration": Bands(limits=(20,), points=(0, 1), upper=True).of(rr) or carbon_dioxide,
            "leucocytes": cells or Bands(limits=(10,), points=(0, 1), upper=True).of(bands_percent),
        },
        Groups(tops=(1,), names=("negative", "positive")),
    )


SIRS = Score(
    name="sirs",
    title="SIRS",
    unit="criteria",
    sources=("Bone et al., Chest 1992;101:1644",),
    inputs=(
        number("temp_c", "degrees Celsius", 25, 44, 1),
        number("pulse", "beats/min", 0, 300),
        number("rr", "breaths/min", 0, 80),
        number("paco2_mmhg", "mmHg", 10, 120, 1, optional=True),
        number("wbc_k_ul", "leucocytes, 10^3/uL", 0, 200, 1),
        number("bands_percent", "immature neutrophils, %", 0, 100),
    ),
    compute=_sirs,
)
SCORES = (SOFA, QSOFA, SIRS)
