"""CURB-65, Wells (embolism, thrombosis), PERC, sPESI, Centor."""

from __future__ import annotations

from fractions import Fraction

from envs.clinic_checker.scores.numbers import Found, Raw, exact, yes


def curb65(raw: Raw) -> Found:
    """One point each."""
    total = int(yes(raw["confusion"]))
    if exact(raw["urea_mmol_l"]) > 7:
        total += 1
    if raw["rr"] >= 30:
        total += 1
    if raw["sbp_mmhg"] < 90 or raw["dbp_mmhg"] <= 60:
        total += 1
    if raw["age"] >= 65:
        total += 1
    return total, "low" if total < 2 else "moderate" if total == 2 else "severe"


def wells_pe(raw: Raw) -> Found:
    """Counted in halves."""
    halves = 6 * yes(raw["dvt_signs"]) + 6 * yes(raw["alternative_less_likely"])
    halves += 3 * (yes(raw["immobile"]) + yes(raw["previous_vte"]) + (raw["pulse"] > 100))
    halves += 2 * (yes(raw["haemoptysis"]) + yes(raw["cancer"]))
    return Fraction(halves, 2), "likely" if halves > 8 else "unlikely"


def wells_dvt(raw: Raw) -> Found:
    """Nine ones, less two."""
    names = (
        "cancer",
        "paralysis",
        "bedridden",
        "tenderness",
        "leg_swollen",
        "calf_3cm",
        "pitting",
        "collateral_veins",
        "previous_dvt",
    )
    total = [yes(raw[name]) for name in names].count(True)
    if yes(raw["alternative_as_likely"]):
        total -= 2
    return total, "likely" if total >= 2 else "unlikely"


def perc(raw: Raw) -> Found:
    """The criteria that are not met."""
    met = [raw["age"] < 50, raw["pulse"] < 100, raw["spo2_percent"] >= 95]
    absent = ("leg_swelling", "haemoptysis", "surgery_or_trauma", "previous_vte", "oestrogen")
    met += [not yes(raw[name]) for name in absent]
    return met.count(False), "negative" if all(met) else "positive"


def spesi(raw: Raw) -> Found:
    """Low risk only at 0."""
    risks = [
        raw["age"] > 80,
        yes(raw["cancer"]),
        yes(raw["chronic_disease"]),
        raw["pulse"] >= 110,
        raw["sbp_mmhg"] < 100,
        raw["spo2_percent"] < 90,
    ]
    return risks.count(True), "high" if any(risks) else "low"


def centor(raw: Raw) -> Found:
    """With McIsaac's age: one more under 15, one less from 45 on."""
    total = 0 if yes(raw["cough"]) else 1
    total += yes(raw["exudate"]) + yes(raw["tender_nodes"])
    if exact(raw["temp_c"]) > 38:
        total += 1
    if raw["age"] <= 14:
        total += 1
    if raw["age"] >= 45:
        total -= 1
    return total, ""


FOUND = {
    "curb65": curb65,
    "wells_pe": wells_pe,
    "wells_dvt": wells_dvt,
    "perc": perc,
    "spesi": spesi,
    "centor": centor,
}
