"""Gaps, corrections and pressures in exact fractions, roots to 40 digits."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

from envs.clinic_checker.scores.numbers import DIGITS, Found, Raw, decimal, exact, power


def anion_gap(raw: Raw) -> Found:
    """Na - Cl - HCO3, and 2.5 for each g/dL of albumin below 4."""
    gap = exact(raw["sodium_mmol_l"]) - exact(raw["chloride_mmol_l"]) - exact(raw["bicarbonate_mmol_l"])
    if raw.get("albumin_g_dl") is not None:
        gap += 10 - Fraction(5, 2) * exact(raw["albumin_g_dl"])
    return gap, ""


def corrected_calcium(raw: Raw) -> Found:
    """0.8 for each g/dL of albumin below 4."""
    return exact(raw["calcium_mg_dl"]) + Fraction(16, 5) - Fraction(4, 5) * exact(raw["albumin_g_dl"]), ""


def corrected_sodium(raw: Raw) -> Found:
    """1.6 for each 100 mg/dL above 100."""
    return raw["sodium_mmol_l"] + Fraction(2, 125) * (raw["glucose_mg_dl"] - 100), ""


def osmolality(raw: Raw) -> Found:
    """2 Na + glucose / 18 + urea nitrogen / 2.8."""
    return 2 * raw["sodium_mmol_l"] + Fraction(raw["glucose_mg_dl"], 18) + Fraction(5 * raw["bun_mg_dl"], 14), ""


def winter(raw: Raw) -> Found:
    """1.5 HCO3 + 8."""
    return Fraction(3 * raw["bicarbonate_mmol_l"] + 16, 2), ""


def mean_pressure(raw: Raw) -> Found:
    """Diastolic and a third of the pulse pressure."""
    return raw["dbp_mmhg"] + Fraction(raw["sbp_mmhg"] - raw["dbp_mmhg"], 3), ""


def qtc_bazett(raw: Raw) -> Found:
    """QT x sqrt(pulse / 60)."""
    with localcontext(DIGITS):
        return raw["qt_ms"] * decimal(Fraction(raw["pulse"], 60)).sqrt(), ""


def qtc_fridericia(raw: Raw) -> Found:
    """QT x cube root of pulse / 60."""
    with localcontext(DIGITS):
        return raw["qt_ms"] * power(decimal(Fraction(raw["pulse"], 60)), Decimal(1) / 3), ""


def aa_gradient(raw: Raw) -> Found:
    """713 x FiO2 - 1.25 PaCO2 - PaO2."""
    alveolar = Fraction(713 * raw["fio2_percent"], 100) - Fraction(5, 4) * exact(raw["paco2_mmhg"])
    return alveolar - exact(raw["pao2_mmhg"]), ""


FOUND = {
    "anion_gap": anion_gap,
    "corrected_calcium": corrected_calcium,
    "corrected_sodium": corrected_sodium,
    "osmolality": osmolality,
    "winter": winter,
    "mean_pressure": mean_pressure,
    "qtc_bazett": qtc_bazett,
    "qtc_fridericia": qtc_fridericia,
    "aa_gradient": aa_gradient,
}
