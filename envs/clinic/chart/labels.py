"""Doses by creatinine clearance, as US labels give them (section 2, Dosage and Administration).

A step holds for clearances at or above `from_ml_min`. Where a label says `above 50` and `26 to 50`, the step begins at
50, and no task has a clearance within 1 mL/min of it.
"""

from __future__ import annotations

from common.records import Record


class Step(Record):
    """From this clearance on: this dose, at this interval. `per_kg`: mg for each kg of body weight."""

    from_ml_min: float
    dose_mg: float
    every_h: int
    per_kg: bool = False


class Label(Record):
    """The steps, the highest clearance first; below `least_ml_min` the label has no dose, or one that is not asked "
    "for."""

    indication: str
    steps: tuple[Step, ...]
    least_ml_min: float
    source: str


def _steps(*steps: tuple[float, float, int]) -> tuple[Step, ...]:
    return tuple(Step(from_ml_min=clearance, dose_mg=dose, every_h=hours) for clearance, dose, hours in steps)


LABELS = {
    "meropenem": Label(
        indication="intra-abdominal infection, 1 g every 8 h at normal function",
        steps=_steps((50, 1000, 8), (26, 1000, 12), (10, 500, 12), (0, 500, 24)),
        least_ml_min=3,
        source="Merrem I.V. label, section 2.2",
    ),
    "piperacillin_tazobactam": Label(
        indication="all but nosocomial pneumonia, mg of both parts together",
        steps=_steps((40, 3375, 6), (20, 2250, 6), (0, 2250, 8)),
        least_ml_min=3,
        source="Zosyn label, section 2.3",
    ),
    "rivaroxaban": Label(
        indication="non-valvular atrial fibrillation",
        steps=_steps((50, 20, 24), (0, 15, 24)),
        least_ml_min=16,
        source="Xarelto label, section 2.1",
    ),
    "dabigatran": Label(
        indication="non-valvular atrial fibrillation, no P-gp inhibitor",
        steps=_steps((30, 150, 12), (15, 75, 12)),
        least_ml_min=16,
        source="Pradaxa label, section 2.2",
    ),
    "enoxaparin": Label(
        indication="treatment of deep vein thrombosis in hospital",
        steps=(
            Step(from_ml_min=30, dose_mg=1, every_h=12, per_kg=True),
            Step(from_ml_min=0, dose_mg=1, every_h=24, per_kg=True),
        ),
        least_ml_min=5,
        source="Lovenox label, sections 2.2 and 2.3",
    ),
}


def daily_mg(label: Label, clearance_ml_min: float, weight_kg: float) -> float:
    """mg in 24 hours."""
    step = next(one for one in label.steps if clearance_ml_min >= one.from_ml_min or one is label.steps[-1])
    return step.dose_mg * (24 // step.every_h) * (weight_kg if step.per_kg else 1)


def table(label: Label) -> str:
    """The label's steps in words, one a line."""
    lines = [f"{label.indication}:"]
    above: float | None = None
    for step in label.steps:
        dose = f"{step.dose_mg:g} mg{'/kg' if step.per_kg else ''} every {step.every_h} h"
        reach = f"{step.from_ml_min:g} or more" if above is None else f"{step.from_ml_min:g} to below {above:g}"
        lines.append(f"clearance {reach} mL/min: {dose}")
        above = step.from_ml_min
    return "\n".join(lines)
