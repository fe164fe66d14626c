"""Alvarado, Ranson, BISAP, Glasgow-Blatchford, Child-Pugh, MELD 3.0."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

from envs.clinic_checker.scores.numbers import DIGITS, Found, Raw, decimal, exact, yes


def alvarado(raw: Raw) -> Found:
    """Ten points, two of them for tenderness and two for leucocytosis."""
    total = 0
    for letter in ("migration", "anorexia", "nausea", "tenderness", "rebound", "fever", "leucocytosis", "left_shift"):
        if yes(raw[letter]):
            total += 2 if letter in ("tenderness", "leucocytosis") else 1
    return total, "probable" if total >= 7 else "possible" if total >= 5 else "unlikely"


def ranson(raw: Raw) -> Found:
    """Five at admission, six within 48 h."""
    admission = [
        raw["age"] > 55,
        exact(raw["wbc_k_ul"]) > 16,
        raw["glucose_mg_dl"] > 200,
        raw["ldh_u_l"] > 350,
        raw["ast_u_l"] > 250,
    ]
    later = [
        exact(raw["haematocrit_fall_percent"]) > 10,
        exact(raw["bun_rise_mg_dl"]) > 5,
        exact(raw["calcium_mg_dl"]) < 8,
        exact(raw["pao2_mmhg"]) < 60,
        exact(raw["base_deficit_mmol_l"]) > 4,
        exact(raw["sequestration_l"]) > 6,
    ]
    return (admission + later).count(True), ""


def bisap(raw: Raw) -> Found:
    """One point each."""
    met = [
        exact(raw["bun_mg_dl"]) > 25,
        raw["gcs"] < 15,
        raw["sirs_criteria"] >= 2,
        raw["age"] > 60,
        yes(raw["pleural_effusion"]),
    ]
    return met.count(True), ""


def blatchford(raw: Raw) -> Found:
    """Urea in mmol/L, haemoglobin in g/dL."""
    total = _urea(exact(raw["urea_mmol_l"])) + _haemoglobin(exact(raw["haemoglobin_g_dl"]), raw["sex"])
    total += sum(raw["sbp_mmhg"] < limit for limit in (110, 100, 90))
    total += (raw["pulse"] >= 100) + yes(raw["melaena"])
    total += 2 * (yes(raw["syncope"]) + yes(raw["liver_disease"]) + yes(raw["heart_failure"]))
    return total, ""


def _urea(value: Fraction) -> int:
    if value < Fraction(13, 2):
        return 0
    if value < 8:
        return 2
    if value < 10:
        return 3
    return 4 if value < 25 else 6


def _haemoglobin(value: Fraction, sex: str) -> int:
    if value < 10:
        return 6
    if sex == "male":
        return 3 if value < 12 else 1 if value < 13 else 0
    if sex != "female":
        raise ValueError(f"{sex!r} is no sex of this score")
    return 1 if value < 12 else 0


def child_pugh(raw: Raw) -> Found:
    """Five parts of 1 to 3."""
    bilirubin, albumin, ratio = (exact(raw[name]) for name in ("bilirubin_mg_dl", "albumin_g_dl", "inr"))
    total = 3 if bilirubin > 3 else 2 if bilirubin >= 2 else 1
    total += 1 if albumin > Fraction(7, 2) else 2 if albumin >= Fraction(28, 10) else 3
    total += 1 if ratio < Fraction(17, 10) else 2 if ratio <= Fraction(23, 10) else 3
    total += {"none": 1, "slight": 2, "moderate": 3}[raw["ascites"]]
    total += {"none": 1, "grade_1_2": 2, "grade_3_4": 3}[raw["encephalopathy"]]
    return total, "A" if total < 7 else "B" if total < 10 else "C"


def meld3(raw: Raw) -> Found:
    """Grouped by logarithm, to 40 digits, between 6 and 40."""
    sodium = min(137, max(125, raw["sodium_mmol_l"]))
    albumin = min(Fraction(7, 2), max(Fraction(3, 2), exact(raw["albumin_g_dl"])))
    creatinine = min(Fraction(3), max(Fraction(1), exact(raw["creatinine_mg_dl"])))
    of_bilirubin = Fraction(456, 100) - Fraction(24, 100) * (137 - sodium)
    of_creatinine = Fraction(1114, 100) - Fraction(183, 100) * (Fraction(7, 2) - albumin)
    rest = 6 + Fraction(82, 100) * (137 - sodium) + Fraction(185, 100) * (Fraction(7, 2) - albumin)
    rest += Fraction(133, 100) if yes(raw["female"]) else 0
    with localcontext(DIGITS):
        value = decimal(rest) + decimal(of_bilirubin) * decimal(max(Fraction(1), exact(raw["bilirubin_mg_dl"]))).ln()
        value += Decimal("9.09") * decimal(max(Fraction(1), exact(raw["inr"]))).ln()
        value += decimal(of_creatinine) * decimal(creatinine).ln()
    return min(Decimal(40), max(Decimal(6), value)), ""


FOUND = {
    "alvarado": alvarado,
    "ranson": ranson,
    "bisap": bisap,
    "blatchford": blatchford,
    "child_pugh": child_pugh,
    "meld3": meld3,
}
