"""Kidney: stage of acute injury (KDIGO), filtration (CKD-EPI 2021), creatinine clearance (Cockcroft and Gault)."""

from __future__ import annotations

from decimal import Decimal

from envs.clinic.scores.score import Bands, Result, Score, choice, exact, flag, number

_RATIO_TENTHS = Bands(limits=(15, 20, 30), points=(0, 1, 2, 3))
_RISE = Decimal("0.3")
_CREATININE_STAGE_3 = 4
_LOW_URINE_HOURS = Bands(limits=(6, 12), points=(0, 1, 2))
_VERY_LOW_URINE_HOURS, _ANURIA_HOURS = 24, 12


def _kdigo(
    *,
    baseline_mg_dl: float,
    current_mg_dl: float,
    rise_48h_mg_dl: float,
    dialysis: bool,
    urine_ml_kg_h: float | None,
    urine_hours: int | None,
) -> Result:
    by_ratio = _RATIO_TENTHS.of(float(10 * exact(current_mg_dl) / exact(baseline_mg_dl)))
    by_creatinine = max(by_ratio, int(exact(rise_48h_mg_dl) >= _RISE))
    if by_creatinine and current_mg_dl >= _CREATININE_STAGE_3:
        by_creatinine = 3
    parts = {
        "creatinine": by_creatinine,
        "urine": 0 if urine_ml_kg_h is None or urine_hours is None else _by_urine(urine_ml_kg_h, urine_hours),
        "dialysis": 3 if dialysis else 0,
    }
    return Result(value=max(parts.values()), parts=parts)


def _by_urine(ml_kg_h: float, hours: int) -> int:
    if ml_kg_h >= 0.5:
        return 0
    very_low = ml_kg_h < 0.3 and hours >= _VERY_LOW_URINE_HOURS
    return 3 if very_low or (ml_kg_h == 0 and hours >= _ANURIA_HOURS) else _LOW_URINE_HOURS.of(hours)


KDIGO = Score(
    name="kdigo",
    title="KDIGO stage of acute kidney injury",
    unit="(0 = none)",
    sources=("KDIGO Acute Kidney Injury Work Group, Kidney Int Suppl 2012;2:1 (table 2)",),
    notes="A creatinine of 4.0 mg/dL or more is stage 3 only where the definition of acute injury is met.",
    inputs=(
        number("baseline_mg_dl", "creatinine before, of the last 7 days or presumed so", 0.2, 15, 2),
        number("current_mg_dl", "creatinine", 0.2, 20, 2),
        number("rise_48h_mg_dl", "its rise within 48 h", 0, 20, 2),
        flag("dialysis", "renal replacement therapy begun"),
        number("urine_ml_kg_h", "mean urine output, mL/kg/h", 0, 10, 2, optional=True),
        number("urine_hours", "hours over which it was so", 1, 168, optional=True),
    ),
    compute=_kdigo,
)


def _egfr(*, creatinine_mg_dl: float, age: int, sex: str) -> Result:
    kappa, alpha, factor = (0.7, -0.241, 1.012) if sex == "female" else (0.9, -0.302, 1.0)
    relative = creatinine_mg_dl / kappa
    value = 142 * min(relative, 1) ** alpha * max(relative, 1) ** -1.2 * 0.9938**age * factor
    names = ("G5", "G4", "G3b", "G3a", "G2", "G1")
    return Result(
        value=value, group=names[Bands(limits=(15, 30, 45, 60, 90), points=(0, 1, 2, 3, 4, 5)).of(round(value))]
    )


EGFR = Score(
    name="egfr",
    formula="142 min(Cr/k, 1)^a max(Cr/k, 1)^-1.2 0.9938^age, 1.012 times that in women; k 0.7, a "
    "-0.241 in women, k 0.9, a -0.302 in men",
    title="eGFR (CKD-EPI 2021)",
    unit="mL/min/1.73 m2",
    sources=(
        "Inker et al., N Engl J Med 2021;385:1737",
        "KDIGO 2012 CKD guideline, Kidney Int Suppl 2013;3:1 (categories)",
    ),
    notes="Categories are of the value rounded to a whole number.",
    inputs=(
        number("creatinine_mg_dl", "mg/dL, IDMS-traceable", 0.1, 25, 2),
        number("age", "years", 18, 110),
        choice("sex", "", "female", "male"),
    ),
    compute=_egfr,
)


def _crcl(*, creatinine_mg_dl: float, age: int, weight_kg: float, sex: str) -> Result:
    factor = Decimal("0.85") if sex == "female" else 1
    return Result(value=float((140 - age) * exact(weight_kg) * factor / (72 * exact(creatinine_mg_dl))))


CRCL = Score(
    name="crcl",
    formula="(140 - age) weight / (72 Cr), 0.85 times that in women",
    title="Creatinine clearance (Cockcroft-Gault)",
    unit="mL/min",
    sources=("Cockcroft and Gault, Nephron 1976;16:31",),
    inputs=(
        number("creatinine_mg_dl", "mg/dL", 0.1, 25, 2),
        number("age", "years", 18, 110),
        number("weight_kg", "kg", 30, 250, 1),
        choice("sex", "", "female", "male"),
    ),
    compute=_crcl,
)
SCORES = (KDIGO, EGFR, CRCL)
