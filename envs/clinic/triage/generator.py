"""Cases of triage in twins, which differ in one fact and in their level.

What is drawn first is the pair of levels, then whatever else fits both; complaint, age and manner are drawn
independently of it, so that they say nothing of the level. Each level is that of a fifth of the cases: the weights of
PAIRS that hold a level add up to .4.

    pair    1-2  1-3  1-4  2-3  2-5  3-4  3-5  4-5
    weight   .1   .1   .2   .1   .2   .1   .1   .1
"""

from __future__ import annotations

import random
from typing import Any

from envs.clinic.domain import Parameters
from envs.clinic.triage.care import care_list, care_twins
from envs.clinic.triage.esi import CHEMO, FEVER, zone
from envs.clinic.triage.findings import (
    ARRIVALS,
    COMPLAINTS,
    CONFUSION,
    HISTORY,
    IMMEDIATE,
    MOODS,
    NEUTRAL,
    OF_CHILDREN,
    RESPONSE,
    SIGNS,
    SURVEY,
    YOUNG,
    Sign,
)
from envs.clinic.world import MONTHS

FIRST, FULL = "first", "full"
PAIRS = {(1, 2): 2, (1, 3): 2, (1, 4): 4, (2, 3): 2, (2, 5): 4, (3, 4): 2, (3, 5): 2, (4, 5): 2}
"""Pairs of levels with their weights, of 20."""
BANDS = (((1, 2), 3), ((4, 33), 3), ((38, 94), 3), ((110, 90 * MONTHS), 11))
"""Ages in months with weights, of 20. Ages at which two bands of danger zones meet are left out, and newborns, of whom
any fever is urgent."""
NORMAL = {
    3: ((110, 165), (30, 46), (70, 90)),
    36: ((90, 150), (20, 36), (85, 105)),
    96: ((75, 130), (18, 27), (90, 112)),
}
ADULT = ((60, 97), (12, 19), (105, 150))
"""Pulse, breaths a minute and systolic pressure without a finding, by the upper limit of the age band in months.
They are inside the limits of the danger zone; no other use is made of them."""
CHILD = 12 * MONTHS
"""Younger ones have the complaints and histories of children."""
VITAL_SHARE, HISTORY_SHARE, DECOY_SHARE = 0.5, 0.8, 0.3
"""Shares: of the pairs 2-3, those that differ in a vital sign; of the pairs that differ in a sign of point B, those in
which it is in the history, of patients who can have one there; of all, those with a decoy where nothing differs."""


def draw(tier: str, rng: random.Random) -> Parameters:
    """The parameters of a pair: `base`, what the twins share; `place`, where they differ; `values`, what is there."""
    pair = rng.choices(list(PAIRS), list(PAIRS.values()))[0]
    base = _simple_base(rng) if tier == FIRST else _base(rng)
    place, values = _fact(tier, pair, base, rng)
    if rng.random() < 0.5:
        values.reverse()
    return {"base": base, "place": place, "values": values}


def _simple_base(rng: random.Random) -> dict[str, Any]:
    """An adult of whom nothing is said beside what decides."""
    said = {"/".join(key): texts[0] for key, texts in NEUTRAL.items()}
    vitals = {"pulse": 80, "resp_rate": 14, "sbp": 120, "dbp": 75, "spo2": 98, "temp": 36.8, "pain": 3}
    person = {
        "patient": f"P{rng.randint(1, 9)}",
        "months": rng.randint(20, 79) * MONTHS,
        "sex": rng.choice("FM"),
        "complaint": rng.choice(COMPLAINTS),
        "manner": "walked in, calm",
    }
    return {**person, "said": said, "vitals": vitals, "allergy": "", "free": 1, "start": 480}


def _base(rng: random.Random) -> dict[str, Any]:
    (low, high), _ = rng.choices(BANDS, [weight for _, weight in BANDS])[0]
    months = rng.randint(low, high)
    base: dict[str, Any] = {
        "patient": f"P{rng.randint(100, 999)}",
        "months": months,
        "sex": rng.choice("FM"),
        "complaint": rng.choice(COMPLAINTS if months >= CHILD else OF_CHILDREN),
        "manner": f"{rng.choice(ARRIVALS)}, {rng.choice(MOODS)}" if months >= CHILD else "was brought by family",
        "said": {"/".join(key): rng.choice(_neutral(key, months)) for key in NEUTRAL},
        "vitals": _vitals(months, rng),
        "allergy": rng.choice(("", "", "penicillin", "ibuprofen")),
        "free": rng.choice((0, 1, 2)),
        "start": rng.randint(0, 24 * 60 - 60),
    }
    decoys = [sign for sign in _fitting("", base) if sign.part == HISTORY]
    if decoys and rng.random() < DECOY_SHARE:
        decoy = rng.choice(decoys)
        base["said"][f"{decoy.part}/{decoy.topic}"] = decoy.decoy
    return base


def _neutral(key: tuple[str, str], months: int) -> tuple[str, ...]:
    return YOUNG.get(key, NEUTRAL[key]) if months < CHILD else NEUTRAL[key]


def _vitals(months: int, rng: random.Random) -> dict[str, Any]:
    pulse, resp_rate, sbp = NORMAL.get(zone(months).below_months, ADULT)
    systolic = rng.randint(*sbp)
    feverish = months > 36 and rng.random() < 0.25
    return {
        "pulse": rng.randint(*pulse),
        "resp_rate": rng.randint(*resp_rate),
        "sbp": systolic,
        "dbp": systolic - rng.randint(25, 45),
        "spo2": rng.randint(94, 100),
        "temp": rng.randint(382, 392) / 10 if feverish else rng.randint(364, 375) / 10,
        "pain": rng.randint(1, 6),
    }


def _fact(tier: str, pair: tuple[int, int], base: dict[str, Any], rng: random.Random) -> tuple[str, list[Any]]:
    """Where the twins differ, and the two values there, that of the more urgent level first. Adds care to the base."""
    simple = tier == FIRST
    urgent, other = pair
    if other == 2:
        return _one_or_two(simple, base, rng)
    if urgent >= 3:
        return "care", care_twins(5 - urgent, 5 - other, simple, rng)
    base["care"] = care_list(5 - other, simple, rng)
    if urgent == 1:
        return _one_or_less(simple, base, rng)
    if other == 3 and not simple and rng.random() < VITAL_SHARE:
        return _danger(base, rng)
    return _sign(simple, base, rng)


def _one_or_two(simple: bool, base: dict[str, Any], rng: random.Random) -> tuple[str, list[Any]]:
    """Level 1 against 2: how the patient responds, or saturation on either side of 90."""
    if simple or rng.random() < 0.5:
        base["care"] = care_list(rng.randint(0, 2), simple, rng)
        life = rng.choice([one for one in _fitting(IMMEDIATE, base) if one.topic == RESPONSE])
        mind = rng.choice([one for one in _fitting("", base) if one.topic == RESPONSE and one.flag != IMMEDIATE])
        if simple:
            life, mind = _simple(IMMEDIATE), _simple(CONFUSION)
        return f"said/{SURVEY}/{RESPONSE}", [life.text, mind.text]
    base["care"] = care_list(2, simple, rng)
    return "vitals/spo2", [rng.choice((88, 89)), rng.choice((90, 91))]


def _one_or_less(simple: bool, base: dict[str, Any], rng: random.Random) -> tuple[str, list[Any]]:
    """Level 1 against 3 or 4."""
    if simple:
        return _of_sign(_simple(IMMEDIATE))
    if rng.random() < 0.4:
        return "vitals/spo2", [rng.choice((88, 89)), rng.choice((92, 93))]
    return _of_sign(rng.choice(_fitting(IMMEDIATE, base)))


def _danger(base: dict[str, Any], rng: random.Random) -> tuple[str, list[Any]]:
    """A vital sign just inside the danger zone, or at its limit."""
    code = rng.choice(("pulse", "resp_rate", "spo2"))
    if code == "spo2":
        return "vitals/spo2", [rng.choice((90, 91)), rng.choice((92, 93))]
    limit = getattr(zone(base["months"]), code)
    return f"vitals/{code}", [limit + rng.choice((1, 2, 4)), limit - rng.choice((0, 0, 1, 2))]


def _sign(simple: bool, base: dict[str, Any], rng: random.Random) -> tuple[str, list[Any]]:
    """A sign of point B, or its decoy; of chemotherapy, the fever may be what differs."""
    if simple:
        return _of_sign(_simple(CONFUSION))
    signs = [one for one in _fitting("", base) if one.flag != IMMEDIATE]
    asked = [one for one in signs if one.part == HISTORY]
    sign = rng.choice(asked if asked and rng.random() < HISTORY_SHARE else signs)
    if sign.flag != CHEMO:
        return _of_sign(sign)
    if rng.random() < 0.5:
        base["said"][f"{sign.part}/{sign.topic}"] = sign.text
        return "vitals/temp", [rng.randint(380, 392) / 10, rng.randint(370, 379) / 10]
    base["vitals"]["temp"] = rng.randint(int(FEVER * 10) + 1, 392) / 10
    return _of_sign(sign)


def _of_sign(sign: Sign) -> tuple[str, list[Any]]:
    return f"said/{sign.part}/{sign.topic}", [sign.text, sign.decoy]


def _simple(flag: str) -> Sign:
    """The one sign of a flag that the tier `first` has: its decoy is what is said of most."""
    decoy = NEUTRAL[SURVEY, RESPONSE][0]
    return next(one for one in SIGNS if one.flag == flag and one.part == SURVEY)._replace(decoy=decoy)


def _fitting(flag: str, base: dict[str, Any]) -> list[Sign]:
    """The signs of a flag, or of any, that this patient may have."""
    return [
        one
        for one in SIGNS
        if flag in ("", one.flag)
        and one.youngest <= base["months"] <= one.oldest
        and one.sex in ("", base["sex"])
        and one.complaint in ("", base["complaint"])
    ]


def chosen(parameters: Parameters, twin: int) -> dict[str, Any]:
    """What is true of one twin: the base with its value in place."""
    base, place, value = parameters["base"], parameters["place"], parameters["values"][twin]
    part, _, name = place.partition("/")
    return {**base, place: value} if not name else {**base, part: {**base[part], name: value}}
