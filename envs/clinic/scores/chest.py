"""Lungs and veins: CURB-65, Wells for embolism and for thrombosis, PERC, sPESI. Throat: Centor with McIsaac's age."""

from __future__ import annotations

from fractions import Fraction

from envs.clinic.scores.score import Bands, Groups, Result, Score, added, flag, number

_AGE = number("age", "years", 18, 110)
_PULSE = number("pulse", "beats/min", 20, 260)
_SPO2 = number("spo2_percent", "saturation on air, %", 50, 100)


def _curb65(*, confusion: bool, urea_mmol_l: float, rr: int, sbp_mmhg: int, dbp_mmhg: int, age: int) -> Result:
    low = Bands(limits=(90,), points=(1, 0)).of(sbp_mmhg) or Bands(limits=(60,), points=(1, 0), upper=True).of(dbp_mmhg)
    return added(
        {
            "confusion": int(confusion),
            "urea": Bands(limits=(7,), points=(0, 1), upper=True).of(urea_mmol_l),
            "respiration": Bands(limits=(30,), points=(0, 1)).of(rr),
            "pressure": low,
            "age": Bands(limits=(65,), points=(0, 1)).of(age),
        },
        Groups(tops=(1, 2), names=("low", "moderate", "severe")),
    )


CURB65 = Score(
    name="curb65",
    title="CURB-65",
    unit="points",
    sources=("Lim et al., Thorax 2003;58:377",),
    inputs=(
        flag("confusion", "new confusion"),
        number("urea_mmol_l", "urea, mmol/L", 0.5, 80, 1),
        number("rr", "breaths/min", 0, 80),
        number("sbp_mmhg", "systolic pressure", 0, 300),
        number("dbp_mmhg", "diastolic pressure", 0, 200),
        _AGE,
    ),
    compute=_curb65,
)
_PE_FLAGS = {
    "dvt_signs": ("swelling and pain of a leg on palpation", "3"),
    "alternative_less_likely": ("another diagnosis is less likely than embolism", "3"),
    "immobile": ("bed rest for 3 days or surgery within 4 weeks", "1.5"),
    "previous_vte": ("deep vein thrombosis or embolism before", "1.5"),
    "haemoptysis": ("haemoptysis", "1"),
    "cancer": ("treated within 6 months, or palliative", "1"),
}


def _wells_pe(*, pulse: int, **present: bool) -> Result:
    weights = [Fraction(weight) for name, (_, weight) in _PE_FLAGS.items() if present[name]]
    value = float(sum(weights, Fraction(3, 2) * Bands(limits=(100,), points=(0, 1), upper=True).of(pulse)))
    return Result(value=value, group="likely" if value > 4 else "unlikely")


WELLS_PE = Score(
    name="wells_pe",
    title="Wells for pulmonary embolism",
    unit="points",
    sources=("Wells et al., Thromb Haemost 2000;83:416",),
    inputs=(_PULSE, *(flag(name, about) for name, (about, _) in _PE_FLAGS.items())),
    compute=_wells_pe,
    decimals=1,
)
_DVT_FLAGS = {
    "cancer": "active cancer",
    "paralysis": "paralysis, paresis or plaster of a leg",
    "bedridden": "in bed for 3 days, or major surgery within 12 weeks",
    "tenderness": "along the deep veins",
    "leg_swollen": "the entire leg",
    "calf_3cm": "calf larger by more than 3 cm",
    "pitting": "pitting oedema of that leg only",
    "collateral_veins": "not varicose",
    "previous_dvt": "documented",
}


def _wells_dvt(*, alternative_as_likely: bool, **present: bool) -> Result:
    parts = {name: int(present[name]) for name in _DVT_FLAGS}
    groups = Groups(tops=(1,), names=("unlikely", "likely"))
    return added({**parts, "alternative diagnosis": -2 * alternative_as_likely}, groups)


WELLS_DVT = Score(
    name="wells_dvt",
    title="Wells for deep vein thrombosis",
    unit="points",
    sources=("Wells et al., N Engl J Med 2003;349:1227",),
    inputs=(
        *(flag(name, about) for name, about in _DVT_FLAGS.items()),
        flag("alternative_as_likely", "another diagnosis is as likely"),
    ),
    compute=_wells_dvt,
)
_PERC_FLAGS = {
    "leg_swelling": "of one leg",
    "haemoptysis": "haemoptysis",
    "surgery_or_trauma": "within 4 weeks, with hospital treatment",
    "previous_vte": "deep vein thrombosis or embolism before",
    "oestrogen": "takes oestrogen",
}


def _perc(*, age: int, pulse: int, spo2_percent: int, **present: bool) -> Result:
    parts = {
        "age": Bands(limits=(50,), points=(0, 1)).of(age),
        "pulse": Bands(limits=(100,), points=(0, 1)).of(pulse),
        "saturation": Bands(limits=(95,), points=(1, 0)).of(spo2_percent),
    }
    parts |= {name: int(present[name]) for name in _PERC_FLAGS}
    return added(parts, Groups(tops=(0,), names=("negative", "positive")))


PERC = Score(
    name="perc",
    title="PERC",
    unit="criteria",
    sources=("Kline et al., J Thromb Haemost 2004;2:1247",),
    inputs=(_AGE, _PULSE, _SPO2, *(flag(name, about) for name, about in _PERC_FLAGS.items())),
    compute=_perc,
)


def _spesi(*, age: int, cancer: bool, chronic_disease: bool, pulse: int, sbp_mmhg: int, spo2_percent: int) -> Result:
    return added(
        {
            "age": Bands(limits=(80,), points=(0, 1), upper=True).of(age),
            "cancer": int(cancer),
            "chronic disease": int(chronic_disease),
            "pulse": Bands(limits=(110,), points=(0, 1)).of(pulse),
            "pressure": Bands(limits=(100,), points=(1, 0)).of(sbp_mmhg),
            "saturation": Bands(limits=(90,), points=(1, 0)).of(spo2_percent),
        },
        Groups(tops=(0,), names=("low", "high")),
    )


SPESI = Score(
    name="spesi",
    title="Simplified PESI",
    unit="points",
    sources=("Jimenez et al., Arch Intern Med 2010;170:1383",),
    inputs=(
        _AGE,
        flag("cancer", "history of cancer"),
        flag("chronic_disease", "chronic heart or lung disease"),
        _PULSE,
        number("sbp_mmhg", "systolic pressure", 0, 300),
        _SPO2,
    ),
    compute=_spesi,
)


def _centor(*, exudate: bool, tender_nodes: bool, temp_c: float, cough: bool, age: int) -> Result:
    return added(
        {
            "exudate": int(exudate),
            "nodes": int(tender_nodes),
            "fever": Bands(limits=(38,), points=(0, 1), upper=True).of(temp_c),
            "no cough": int(not cough),
            "age": Bands(limits=(15, 45), points=(1, 0, -1)).of(age),
        }
    )


CENTOR = Score(
    name="centor",
    title="Centor with McIsaac's age",
    unit="points",
    sources=("Centor et al., Med Decis Making 1981;1:239", "McIsaac et al., CMAJ 1998;158:75"),
    inputs=(
        flag("exudate", "tonsillar swelling or exudate"),
        flag("tender_nodes", "tender anterior cervical nodes"),
        number("temp_c", "degrees Celsius", 35, 42, 1),
        flag("cough", "cough"),
        number("age", "years", 3, 110),
    ),
    compute=_centor,
)
SCORES = (CURB65, WELLS_PE, WELLS_DVT, PERC, SPESI, CENTOR)
