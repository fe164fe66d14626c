"""Bedside observation: NEWS2, the Glasgow coma scale, the shock index."""

from __future__ import annotations

from envs.clinic.scores.score import Bands, Groups, Result, Score, added, choice, flag, number

_RR = Bands(limits=(8, 11, 20, 24), points=(3, 1, 0, 2, 3), upper=True)
_SPO2_1 = Bands(limits=(91, 93, 95), points=(3, 2, 1, 0), upper=True)
_SPO2_2 = Bands(limits=(83, 85, 87, 92), points=(3, 2, 1, 0, 0), upper=True)
_SPO2_2_ON_OXYGEN = Bands(limits=(83, 85, 87, 92, 94, 96), points=(3, 2, 1, 0, 1, 2, 3), upper=True)
_SBP = Bands(limits=(90, 100, 110, 219), points=(3, 2, 1, 0, 3), upper=True)
_PULSE = Bands(limits=(40, 50, 90, 110, 130), points=(3, 1, 0, 1, 2, 3), upper=True)
_TEMP = Bands(limits=(35.0, 36.0, 38.0, 39.0), points=(3, 1, 0, 1, 2), upper=True)


def _saturation(spo2_percent: int, scale: int, oxygen: bool) -> int:
    if scale == 1:
        return _SPO2_1.of(spo2_percent)
    return (_SPO2_2_ON_OXYGEN if oxygen else _SPO2_2).of(spo2_percent)


def _news2(
    *, rr: int, spo2_percent: int, scale: int, oxygen: bool, sbp_mmhg: int, pulse: int, avpu: str, temp_c: float
) -> Result:
    parts = {
        "respiration": _RR.of(rr),
        "saturation": _saturation(spo2_percent, scale, oxygen),
        "oxygen": 2 if oxygen else 0,
        "pressure": _SBP.of(sbp_mmhg),
        "pulse": _PULSE.of(pulse),
        "consciousness": 0 if avpu == "alert" else 3,
        "temperature": _TEMP.of(temp_c),
    }
    result = added(parts, Groups(tops=(4, 6), names=("low", "medium", "high")))
    if result.group == "low" and 3 in parts.values():
        return Result(value=result.value, parts=result.parts, group="low-medium")
    return result


NEWS2 = Score(
    name="news2",
    title="NEWS2",
    unit="points",
    sources=("Royal College of Physicians, National Early Warning Score (NEWS) 2, London 2017",),
    notes="SpO2 scale 2: 83 or less 3, 84 to 85 2, 86 to 87 1, 88 to 92 or more on air 0; on oxygen 93 to 94 1, "
    "95 to 96 2, 97 or more 3. A total of 0 to 4 is low, with a single 3 low-medium, 5 to 6 medium, 7 or more high.",
    inputs=(
        number("rr", "breaths/min", 0, 80),
        number("spo2_percent", "saturation, %", 50, 100),
        number("scale", "1, or 2 if hypercapnic respiratory failure is known and 88-92 % is the target", 1, 2),
        flag("oxygen", "supplemental oxygen"),
        number("sbp_mmhg", "systolic pressure", 0, 300),
        number("pulse", "beats/min", 0, 300),
        choice("avpu", "consciousness", "alert", "confusion", "voice", "pain", "unresponsive"),
        number("temp_c", "degrees Celsius", 25, 44, 1),
    ),
    compute=_news2,
)


def _gcs(*, eye: int, verbal: int, motor: int) -> Result:
    return added({"eye": eye, "verbal": verbal, "motor": motor})


GCS = Score(
    name="gcs",
    title="Glasgow coma scale",
    unit="points",
    sources=("Teasdale and Jennett, Lancet 1974;304:81",),
    notes="The six motor responses are those of 1976 and after; the first paper had five.",
    inputs=(
        number("eye", "1 none, 2 to pain, 3 to voice, 4 spontaneous", 1, 4),
        number("verbal", "1 none, 2 sounds, 3 words, 4 confused, 5 oriented", 1, 5),
        number("motor", "1 none, 2 extension, 3 flexion, 4 withdraws, 5 localises, 6 obeys", 1, 6),
    ),
    compute=_gcs,
)


def _shock_index(*, pulse: int, sbp_mmhg: int) -> Result:
    return Result(value=pulse / sbp_mmhg)


SHOCK_INDEX = Score(
    name="shock_index",
    formula="pulse / systolic",
    title="Shock index",
    unit="beats/min/mmHg",
    sources=("Allgower and Burri, Dtsch Med Wochenschr 1967;92:1947",),
    inputs=(number("pulse", "beats/min", 1, 300), number("sbp_mmhg", "systolic pressure", 20, 300)),
    compute=_shock_index,
    decimals=2,
)
SCORES = (NEWS2, GCS, SHOCK_INDEX)
