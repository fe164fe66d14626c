"""NIHSS, ABCD2, body surface, Parkland."""

from __future__ import annotations

from envs.clinic_checker.scores.numbers import Found, Raw, decimal, exact, power, yes

_NIHSS = (
    ("alertness face visual language", 3),
    ("questions commands gaze ataxia sensory speech neglect", 2),
    ("left_arm right_arm left_leg right_leg", 4),
)


def nihss(raw: Raw) -> Found:
    """Items by what they earn at most; more than that, or an item too many, is no NIHSS."""
    most = {name: top for names, top in _NIHSS for name in names.split()}
    if raw.keys() != most.keys() or any(not 0 <= raw[name] <= most[name] for name in most):
        raise ValueError(f"{dict(raw)} are not the items of the NIHSS")
    return sum(raw.values()), ""


def abcd2(raw: Raw) -> Found:
    """Counted down from what each part earns at most."""
    total = 7
    total -= raw["age"] < 60
    total -= raw["sbp_mmhg"] < 140 and raw["dbp_mmhg"] < 90
    total -= {"weakness": 0, "speech": 1, "other": 2}[raw["signs"]]
    total -= (raw["minutes"] < 60) + (raw["minutes"] < 10)
    total -= not yes(raw["diabetes"])
    return total, "high" if total > 5 else "moderate" if total > 3 else "low"


def surface(raw: Raw) -> Found:
    """Through logarithms."""
    area = decimal(exact(raw["height_cm"]) * exact(raw["weight_kg"]) / 3600)
    return power(area, decimal(exact(0.5))), ""


def parkland(raw: Raw) -> Found:
    """Two mL for each kg and percent, once in 8 hours and once in 16."""
    half = 2 * exact(raw["weight_kg"]) * exact(raw["burned_percent"])
    return half + half, ""


FOUND = {"nihss": nihss, "abcd2": abcd2, "body_surface": surface, "parkland": parkland}
