"""Stage of acute kidney injury, filtration, creatinine clearance."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

from envs.clinic_checker.scores.numbers import DIGITS, Found, Raw, decimal, exact, power, yes


def kdigo(raw: Raw) -> Found:
    """The highest stage whose criterion is met, asked from stage 3 down."""
    before, now, rise = (exact(raw[name]) for name in ("baseline_mg_dl", "current_mg_dl", "rise_48h_mg_dl"))
    injured = rise >= Fraction(3, 10) or 2 * now >= 3 * before
    urine, hours = raw.get("urine_ml_kg_h"), exact(raw.get("urine_hours") or 0)
    output = None if urine is None or not hours else exact(urine)
    if yes(raw["dialysis"]) or now >= 3 * before or (injured and now >= 4):
        return 3, ""
    if output is not None and ((output < Fraction(3, 10) and hours >= 24) or (output == 0 and hours >= 12)):
        return 3, ""
    low = output is not None and 2 * output < 1
    if now >= 2 * before or (low and hours >= 12):
        return 2, ""
    return (1, "") if injured or (low and hours >= 6) else (0, "")


def egfr(raw: Raw) -> Found:
    """142 x min(Scr/k, 1)^a x max(Scr/k, 1)^-1.200 x 0.9938^age, x 1.012 in women."""
    female = _female(raw)
    relative = decimal(exact(raw["creatinine_mg_dl"]) / Fraction(7 if female else 9, 10))
    exponent = Decimal("-1.2") if relative > 1 else Decimal("-0.241") if female else Decimal("-0.302")
    with localcontext(DIGITS):
        value = 142 * power(relative, exponent) * Decimal("0.9938") ** raw["age"]
        value = value * Decimal("1.012") if female else value
        whole = value.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    for lowest, name in ((90, "G1"), (60, "G2"), (45, "G3a"), (30, "G3b"), (15, "G4")):
        if whole >= lowest:
            return value, name
    return value, "G5"


def crcl(raw: Raw) -> Found:
    """(140 - age) x weight / (72 x creatinine), x 0.85 in women."""
    value = (140 - raw["age"]) * exact(raw["weight_kg"]) / exact(raw["creatinine_mg_dl"]) / 72
    return value * Fraction(17, 20) if _female(raw) else value, ""


def _female(raw: Raw) -> bool:
    return {"female": True, "male": False}[raw["sex"]]


FOUND = {"kdigo": kdigo, "egfr": egfr, "crcl": crcl}
