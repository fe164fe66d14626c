"""GRACE in hospital, HEART, CHA2DS2-VASc, HAS-BLED."""

from __future__ import annotations

from envs.clinic_checker.scores.numbers import Found, Raw, exact, yes


def grace(raw: Raw) -> Found:
    """Each part from the top of its column down."""
    total = {1: 0, 2: 20, 3: 39, 4: 59}[raw["killip"]] + _pressure(raw) + _pulse(raw) + _age(raw) + _creatinine(raw)
    for name, points in (("arrest", 39), ("st_deviation", 28), ("raised_enzymes", 14)):
        if yes(raw[name]):
            total += points
    if total > 140:
        return total, "high"
    return total, "intermediate" if total >= 109 else "low"


def _pressure(raw: Raw) -> int:
    value = exact(raw["sbp_mmhg"])
    if value >= 200:
        return 0
    if value >= 160:
        return 10
    if value >= 140:
        return 24
    if value >= 120:
        return 34
    if value >= 100:
        return 43
    return 53 if value >= 80 else 58


def _pulse(raw: Raw) -> int:
    value = exact(raw["pulse"])
    if value < 50:
        return 0
    if value < 70:
        return 3
    if value < 90:
        return 9
    if value < 110:
        return 15
    if value < 150:
        return 24
    return 38 if value < 200 else 46


def _age(raw: Raw) -> int:
    decade = raw["age"] // 10
    return 0 if decade < 3 else 100 if decade > 8 else {3: 8, 4: 25, 5: 41, 6: 58, 7: 75, 8: 91}[decade]


def _creatinine(raw: Raw) -> int:
    hundredths = 100 * exact(raw["creatinine_mg_dl"])
    if hundredths >= 400:
        return 28
    if hundredths >= 200:
        return 21
    return (1, 4, 7, 10, 13)[hundredths // 40]


def heart(raw: Raw) -> Found:
    """Five parts of 0 to 2."""
    age, troponin = exact(raw["age"]), exact(raw["troponin_ratio"])
    total = ["slight", "moderate", "high"].index(raw["history"])
    total += ["normal", "nonspecific", "st_deviation"].index(raw["ecg"])
    total += (age >= 45) + (age >= 65)
    total += 2 if yes(raw["atherosclerosis"]) or raw["risk_factors"] >= 3 else min(1, raw["risk_factors"])
    total += (troponin > 1) + (troponin > 3)
    if total >= 7:
        return total, "high"
    return total, "moderate" if total >= 4 else "low"


def cha2ds2_vasc(raw: Raw) -> Found:
    """Age counts once from 65 and again from 75, a stroke twice."""
    ones = ("female", "heart_failure", "hypertension", "diabetes", "vascular_disease", "stroke", "stroke")
    return sum(yes(raw[name]) for name in ones) + (raw["age"] >= 65) + (raw["age"] >= 75), ""


def has_bled(raw: Raw) -> Found:
    """One point each; elderly is above 65."""
    ones = (
        "hypertension",
        "abnormal_renal",
        "abnormal_liver",
        "stroke",
        "bleeding",
        "labile_inr",
        "drugs",
        "alcohol",
    )
    return [yes(raw[name]) for name in ones].count(True) + (1 if raw["age"] > 65 else 0), ""


FOUND = {"grace": grace, "heart": heart, "cha2ds2_vasc": cha2ds2_vasc, "has_bled": has_bled}
