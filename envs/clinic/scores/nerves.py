"""Stroke: NIHSS and ABCD2; and two formulas by body size, Mosteller and Parkland."""

from __future__ import annotations

from envs.clinic.scores.score import Bands, Groups, Result, Score, added, choice, exact, flag, number

ITEMS = {
    "alertness": ("1a, level of consciousness", 3),
    "questions": ("1b, month and age", 2),
    "commands": ("1c, eyes and grip", 2),
    "gaze": ("2", 2),
    "visual": ("3, visual fields", 3),
    "face": ("4, facial palsy", 3),
    "left_arm": ("5a", 4),
    "right_arm": ("5b", 4),
    "left_leg": ("6a", 4),
    "right_leg": ("6b", 4),
    "ataxia": ("7, of limbs", 2),
    "sensory": ("8", 2),
    "language": ("9", 3),
    "speech": ("10, dysarthria", 2),
    "neglect": ("11, extinction and inattention", 2),
}
"""The fifteen items, each with the most that it earns."""


def _nihss(**items: int) -> Result:
    return added(items)


NIHSS = Score(
    name="nihss",
    title="NIHSS",
    unit="points",
    sources=("Brott et al., Stroke 1989;20:864",),
    notes="The fifteen items of the form in use, 42 points at most; the first paper's scale was revised later.",
    inputs=tuple(number(name, about, 0, most) for name, (about, most) in ITEMS.items()),
    compute=_nihss,
)
_MINUTES = Bands(limits=(10, 60), points=(0, 1, 2))
_SIGNS = {"weakness": 2, "speech": 1, "other": 0}


def _abcd2(*, age: int, sbp_mmhg: int, dbp_mmhg: int, signs: str, minutes: int, diabetes: bool) -> Result:
    parts = {
        "age": int(age >= 60),
        "pressure": int(sbp_mmhg >= 140 or dbp_mmhg >= 90),
        "signs": _SIGNS[signs],
        "duration": _MINUTES.of(minutes),
        "diabetes": int(diabetes),
    }
    return added(parts, Groups(tops=(3, 5), names=("low", "moderate", "high")))


ABCD2 = Score(
    name="abcd2",
    title="ABCD2",
    unit="points",
    sources=("Johnston et al., Lancet 2007;369:283",),
    notes="A total of 0 to 3 is low, 4 to 5 moderate, 6 to 7 high.",
    inputs=(
        number("age", "years", 18, 110),
        number("sbp_mmhg", "systolic pressure", 50, 300),
        number("dbp_mmhg", "diastolic pressure", 20, 200),
        choice("signs", "weakness of one side, or else a disturbance of speech", *_SIGNS),
        number("minutes", "how long they lasted", 0, 1440),
        flag("diabetes", "diabetes"),
    ),
    compute=_abcd2,
)


def _surface(*, height_cm: int, weight_kg: float) -> Result:
    return Result(value=float((height_cm * exact(weight_kg) / 3600).sqrt()))


SURFACE = Score(
    name="body_surface",
    title="Body surface (Mosteller)",
    unit="m2",
    formula="(height in cm x weight in kg / 3600) ^ 1/2",
    sources=("Mosteller, N Engl J Med 1987;317:1098",),
    inputs=(number("height_cm", "cm", 40, 220), number("weight_kg", "kg", 2, 250, 1)),
    compute=_surface,
    decimals=2,
)


def _parkland(*, weight_kg: float, burned_percent: int) -> Result:
    return Result(value=float(4 * exact(weight_kg) * burned_percent))


PARKLAND = Score(
    name="parkland",
    title="Fluid in the first 24 hours after a burn (Parkland)",
    unit="mL",
    formula="4 x weight in kg x percent of the surface that is burned",
    sources=("Baxter, Clin Plast Surg 1974;1:693",),
    notes="Half of it in the first 8 hours after the burn.",
    inputs=(number("weight_kg", "kg", 2, 250, 1), number("burned_percent", "second and third degree, %", 1, 100)),
    compute=_parkland,
)
SCORES = (NIHSS, ABCD2, SURFACE, PARKLAND)
