"""Formulas of the laboratory and the bedside: gaps, corrections, pressures."""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

from envs.clinic.scores.score import Result, Score, exact, number

_SODIUM = number("sodium_mmol_l", "mmol/L", 90, 190)
_ALBUMIN = number("albumin_g_dl", "g/dL", 0.5, 6, 1)
_GLUCOSE = number("glucose_mg_dl", "mg/dL", 20, 2000)


def _anion_gap(
    *, sodium_mmol_l: int, chloride_mmol_l: int, bicarbonate_mmol_l: int, albumin_g_dl: float | None
) -> Result:
    gap = sodium_mmol_l - chloride_mmol_l - bicarbonate_mmol_l
    return Result(value=gap if albumin_g_dl is None else float(gap + Decimal("2.5") * (4 - exact(albumin_g_dl))))


ANION_GAP = Score(
    name="anion_gap",
    formula="Na - Cl - HCO3 + 2.5 (4 - albumin)",
    title="Anion gap",
    unit="mmol/L",
    sources=("Emmett and Narins, Medicine 1977;56:38", "Figge et al., Crit Care Med 1998;26:1807 (albumin)"),
    notes="Without potassium. Corrected for albumin where that is given.",
    inputs=(
        _SODIUM,
        number("chloride_mmol_l", "mmol/L", 50, 160),
        number("bicarbonate_mmol_l", "mmol/L", 1, 60),
        number("albumin_g_dl", "g/dL", 0.5, 6, 1, optional=True),
    ),
    compute=_anion_gap,
    decimals=1,
)


def _corrected_calcium(*, calcium_mg_dl: float, albumin_g_dl: float) -> Result:
    return Result(value=float(exact(calcium_mg_dl) + Decimal("0.8") * (4 - exact(albumin_g_dl))))


CORRECTED_CALCIUM = Score(
    name="corrected_calcium",
    formula="calcium + 0.8 (4 - albumin)",
    title="Calcium corrected for albumin",
    unit="mg/dL",
    sources=("Payne et al., BMJ 1973;4:643",),
    notes="The usual form in mg/dL of the paper's correction.",
    inputs=(number("calcium_mg_dl", "total, mg/dL", 2, 25, 1), _ALBUMIN),
    compute=_corrected_calcium,
    decimals=2,
)


def _corrected_sodium(*, sodium_mmol_l: int, glucose_mg_dl: int) -> Result:
    return Result(value=float(sodium_mmol_l + Decimal("1.6") * (glucose_mg_dl - 100) / 100))


CORRECTED_SODIUM = Score(
    name="corrected_sodium",
    formula="sodium + 1.6 (glucose - 100) / 100",
    title="Sodium corrected for glucose",
    unit="mmol/L",
    sources=("Katz, N Engl J Med 1973;289:843",),
    inputs=(_SODIUM, number("glucose_mg_dl", "mg/dL", 100, 2000)),
    compute=_corrected_sodium,
    decimals=1,
)


def _osmolality(*, sodium_mmol_l: int, glucose_mg_dl: int, bun_mg_dl: int) -> Result:
    return Result(value=float(2 * sodium_mmol_l + Decimal(glucose_mg_dl) / 18 + bun_mg_dl / Decimal("2.8")))


OSMOLALITY = Score(
    name="osmolality",
    formula="2 Na + glucose / 18 + urea nitrogen / 2.8",
    title="Calculated osmolality",
    unit="mOsm/kg",
    sources=("Dorwart and Chalmers, Clin Chem 1975;21:190",),
    notes="The simplest of the formulas that the paper compares.",
    inputs=(_SODIUM, _GLUCOSE, number("bun_mg_dl", "urea nitrogen, mg/dL", 1, 250)),
    compute=_osmolality,
    decimals=1,
)


def _winter(*, bicarbonate_mmol_l: int) -> Result:
    return Result(value=1.5 * bicarbonate_mmol_l + 8)


WINTER = Score(
    name="winter",
    formula="1.5 HCO3 + 8",
    title="Expected PaCO2 in metabolic acidosis (+- 2)",
    unit="mmHg",
    sources=("Albert, Dell and Winters, Ann Intern Med 1967;66:312",),
    inputs=(number("bicarbonate_mmol_l", "mmol/L", 1, 30),),
    compute=_winter,
    decimals=1,
)


def _map(*, sbp_mmhg: int, dbp_mmhg: int) -> Result:
    return Result(value=(sbp_mmhg + 2 * dbp_mmhg) / 3)


MAP = Score(
    name="mean_pressure",
    formula="(systolic + 2 diastolic) / 3",
    title="Mean arterial pressure",
    unit="mmHg",
    sources=("(systolic + 2 x diastolic) / 3, textbook physiology",),
    inputs=(number("sbp_mmhg", "systolic pressure", 30, 300), number("dbp_mmhg", "diastolic pressure", 10, 200)),
    compute=_map,
    decimals=1,
)


def _bazett(*, qt_ms: int, pulse: int) -> Result:
    return Result(value=qt_ms / sqrt(60 / pulse))


def _fridericia(*, qt_ms: int, pulse: int) -> Result:
    return Result(value=qt_ms / (60 / pulse) ** (1 / 3))


_QT = (number("qt_ms", "QT interval, ms", 200, 800), number("pulse", "beats/min", 20, 250))
QTC_BAZETT = Score(
    name="qtc_bazett",
    formula="QT / (60 / pulse) ^ 1/2",
    title="QTc (Bazett)",
    unit="ms",
    sources=("Bazett, Heart 1920;7:353",),
    inputs=_QT,
    compute=_bazett,
)
QTC_FRIDERICIA = Score(
    name="qtc_fridericia",
    formula="QT / (60 / pulse) ^ 1/3",
    title="QTc (Fridericia)",
    unit="ms",
    sources=("Fridericia, Acta Med Scand 1920;53:469",),
    inputs=_QT,
    compute=_fridericia,
)


def _aa_gradient(*, fio2_percent: int, paco2_mmhg: float, pao2_mmhg: float) -> Result:
    alveolar = Decimal(fio2_percent) / 100 * (760 - 47) - exact(paco2_mmhg) / Decimal("0.8")
    return Result(value=float(alveolar - exact(pao2_mmhg)))


AA_GRADIENT = Score(
    name="aa_gradient",
    formula="713 FiO2 - PaCO2 / 0.8 - PaO2",
    title="Alveolar-arterial oxygen gradient at sea level",
    unit="mmHg",
    sources=("Fenn, Rahn and Otis, Am J Physiol 1946;146:637 (alveolar gas equation, simplified; quotient 0.8)",),
    inputs=(
        number("fio2_percent", "inspired oxygen, %", 21, 100),
        number("paco2_mmhg", "mmHg", 10, 120, 1),
        number("pao2_mmhg", "mmHg", 20, 600, 1),
    ),
    compute=_aa_gradient,
    decimals=1,
)
SCORES = (
    ANION_GAP,
    CORRECTED_CALCIUM,
    CORRECTED_SODIUM,
    OSMOLALITY,
    WINTER,
    MAP,
    QTC_BAZETT,
    QTC_FRIDERICIA,
    AA_GRADIENT,
)
