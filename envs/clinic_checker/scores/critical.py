"""SOFA, qSOFA, SIRS, NEWS2, Glasgow coma scale, shock index, range by range as the papers print them."""

from __future__ import annotations

from fractions import Fraction

from envs.clinic_checker.scores.numbers import Found, Raw, exact, yes


def sofa(raw: Raw) -> Found:
    """Parts that were not measured count 0."""
    parts = [_breathing(raw), _clotting(raw), _liver(raw), _circulation(raw), _brain(raw), _kidney(raw)]
    return sum(parts), ""


def _breathing(raw: Raw) -> int:
    if raw.get("pf_ratio_mmhg") is None:
        return 0
    ratio = exact(raw["pf_ratio_mmhg"])
    if yes(raw["ventilated"]):
        if ratio < 100:
            return 4
        if ratio < 200:
            return 3
    if ratio < 300:
        return 2
    return 1 if ratio < 400 else 0


def _clotting(raw: Raw) -> int:
    if raw.get("platelets_k_ul") is None:
        return 0
    count = exact(raw["platelets_k_ul"])
    return sum(1 for limit in (150, 100, 50, 20) if count < limit)


def _liver(raw: Raw) -> int:
    if raw.get("bilirubin_mg_dl") is None:
        return 0
    tenths = 10 * exact(raw["bilirubin_mg_dl"])
    if tenths >= 120:
        return 4
    if 60 <= tenths < 120:
        return 3
    if 20 <= tenths < 60:
        return 2
    return 1 if 12 <= tenths < 20 else 0


def _circulation(raw: Raw) -> int:
    drug = raw["pressor"]
    dose = exact(raw["dose_ug_kg_min"]) if raw.get("dose_ug_kg_min") is not None else Fraction(0)
    if drug in ("epinephrine", "norepinephrine"):
        return 4 if dose > Fraction(1, 10) else 3
    if drug == "dopamine" and dose > 5:
        return 4 if dose > 15 else 3
    if drug in ("dopamine", "dobutamine"):
        return 2
    if drug != "none":
        raise ValueError(f"no pressor is called {drug!r}")
    return int(raw.get("map_mmhg") is not None and exact(raw["map_mmhg"]) < 70)


def _brain(raw: Raw) -> int:
    coma = 15 if raw.get("gcs") is None else raw["gcs"]
    if coma in (13, 14):
        return 1
    if coma in (10, 11, 12):
        return 2
    if coma in (6, 7, 8, 9):
        return 3
    return 0 if coma == 15 else 4


def _kidney(raw: Raw) -> int:
    points = 0
    if raw.get("creatinine_mg_dl") is not None:
        tenths = 10 * exact(raw["creatinine_mg_dl"])
        points = sum(1 for limit in (12, 20, 35, 50) if not tenths < limit)
    if raw.get("urine_ml_day") is not None:
        if raw["urine_ml_day"] < 200:
            return 4
        if raw["urine_ml_day"] < 500 and points < 3:
            return 3
    return points


def qsofa(raw: Raw) -> Found:
    """Positive from two of three on."""
    met = [exact(raw["rr"]) >= 22, exact(raw["sbp_mmhg"]) <= 100, exact(raw["gcs"]) < 15]
    return met.count(True), "positive" if met.count(True) >= 2 else "negative"


def sirs(raw: Raw) -> Found:
    """Positive from two of four on."""
    temperature, cells = exact(raw["temp_c"]), exact(raw["wbc_k_ul"])
    carbon_dioxide = raw.get("paco2_mmhg")
    met = [
        temperature > 38 or temperature < 36,
        raw["pulse"] > 90,
        raw["rr"] > 20 or (carbon_dioxide is not None and exact(carbon_dioxide) < 32),
        cells > 12 or cells < 4 or raw["bands_percent"] > 10,
    ]
    return met.count(True), "positive" if met.count(True) >= 2 else "negative"


def _between(value: Fraction, *ranges: tuple[int, int, int]) -> int:
    """The points of the one range that holds the value: lowest, highest, points."""
    (points,) = [points for lowest, highest, points in ranges if lowest <= value <= highest]
    return points


_ANY = 10**6


def news2(raw: Raw) -> Found:
    """The chart of the Royal College of Physicians; temperatures in tenths of a degree."""
    parts = [
        _between(exact(raw["rr"]), (0, 8, 3), (9, 11, 1), (12, 20, 0), (21, 24, 2), (25, _ANY, 3)),
        _saturation(raw),
        2 if yes(raw["oxygen"]) else 0,
        _between(exact(raw["sbp_mmhg"]), (0, 90, 3), (91, 100, 2), (101, 110, 1), (111, 219, 0), (220, _ANY, 3)),
        _between(
            exact(raw["pulse"]), (0, 40, 3), (41, 50, 1), (51, 90, 0), (91, 110, 1), (111, 130, 2), (131, _ANY, 3)
        ),
        {"alert": 0, "confusion": 3, "voice": 3, "pain": 3, "unresponsive": 3}[raw["avpu"]],
        _between(10 * exact(raw["temp_c"]), (0, 350, 3), (351, 360, 1), (361, 380, 0), (381, 390, 1), (391, _ANY, 2)),
    ]
    total = sum(parts)
    if total >= 7:
        return total, "high"
    if total >= 5:
        return total, "medium"
    return total, "low-medium" if 3 in parts else "low"


def _saturation(raw: Raw) -> int:
    value = exact(raw["spo2_percent"])
    if raw["scale"] == 1:
        return _between(value, (0, 91, 3), (92, 93, 2), (94, 95, 1), (96, 100, 0))
    if raw["scale"] != 2:
        raise ValueError(f"there is no scale {raw['scale']}")
    if value >= 93 and not yes(raw["oxygen"]):
        return 0
    return _between(value, (0, 83, 3), (84, 85, 2), (86, 87, 1), (88, 92, 0), (93, 94, 1), (95, 96, 2), (97, 100, 3))


def gcs(raw: Raw) -> Found:
    """The sum."""
    return raw["eye"] + raw["verbal"] + raw["motor"], ""


def shock_index(raw: Raw) -> Found:
    """Pulse over systolic pressure."""
    return exact(raw["pulse"]) / exact(raw["sbp_mmhg"]), ""


FOUND = {"sofa": sofa, "qsofa": qsofa, "sirs": sirs, "news2": news2, "gcs": gcs, "shock_index": shock_index}
