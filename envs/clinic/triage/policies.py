"""Policies of triage: the oracle, which sees what any policy sees, what the warm-up shows, and blind ones."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable, Generator, Mapping
from functools import partial

import msgspec

from envs.clinic.domain import Plan, Play, Write
from envs.clinic.triage.cases import (
    CARE_READ,
    SURVEY_READ,
    TEAM_RESUSCITATION,
    VITALS_READ,
    place_of,
    teams_of,
)
from envs.clinic.triage.esi import LEVELS, Findings, decide, resources
from envs.clinic.triage.findings import ALLERGIES, BY_TEXT, IMMEDIATE, TOPICS
from envs.clinic.triage.tools import ACTIVATE, BEDS, HISTORY_TOOL, SUBMIT
from envs.clinic.world import MONTHS

_REQUEST = re.compile(r"Patient (P\d+): \w+, (\d+) (months|years), (.+)\.$")
_MEASURED = ("pulse", "resp_rate", "spo2", "temp")
ASKED = tuple(topic for topic in TOPICS if topic != ALLERGIES)
"""The topics that may hold a sign."""
_FREE = re.compile(r"(\d+) of \d+ free")


class Seen:
    """What the first message says: the patient's id, age in months, and whether the tier is `first`."""

    def __init__(self, opening: str) -> None:
        found = _REQUEST.search(opening)
        assert found is not None
        self.patient, self.complaint = found[1], found[4]
        self.months = int(found[2]) * (MONTHS if found[3] == "years" else 1)
        self.simple = f"\n{VITALS_READ}(" not in opening and f'"name": "{VITALS_READ}"' not in opening


def oracle(opening: str, write: Write) -> Play:
    """Reads until a point of the tree applies, calls who is due, and submits."""
    seen = Seen(opening)
    found = yield from _read(seen, write)
    yield from _ended(seen, decide(found).level, found.flags, write)


def _read(seen: Seen, write: Write) -> Generator[str, str, Findings]:
    """Reads until a point applies, and gives what was found."""
    found = Findings(age_months=seen.months, pulse=80, resp_rate=14, spo2=98, temp=37)
    flags = _flags((yield write(SURVEY_READ, patient_id=seen.patient)))
    if IMMEDIATE in flags:
        return msgspec.structs.replace(found, immediate=True, flags=flags - {IMMEDIATE})
    if not seen.simple:
        found = _measured(found, (yield write(VITALS_READ, patient_id=seen.patient)))
    for topic in (None, *(() if seen.simple else ASKED)):
        if topic is not None:
            flags |= _flags((yield write(HISTORY_TOOL, patient_id=seen.patient, part=topic)))
        found = msgspec.structs.replace(found, flags=flags)
        if decide(found).point in "AB":
            return found
    care = tuple((yield write(CARE_READ, patient_id=seen.patient)).split(", "))
    return msgspec.structs.replace(found, care=care)


def _flags(answer: str) -> frozenset[str]:
    """The flags of the sentences that an answer holds."""
    return frozenset(flag for text, flag in BY_TEXT.items() if text in answer)


def _measured(found: Findings, answer: str) -> Findings:
    values = dict(part.split(" ") for part in answer.split(", "))
    return msgspec.structs.replace(found, **{name: float(values[name]) for name in _MEASURED})


def _ended(seen: Seen, level: int, flags: frozenset[str], write: Write, because: str = "") -> Play:
    """Calls the teams that are due and submits the level with its place, below the line `because`."""
    if seen.simple:
        yield because + write(SUBMIT, level=level)
        return
    for team in teams_of(level, flags):
        yield write(ACTIVATE, patient_id=seen.patient, team=team)
    free = 0
    if level == 3:
        found = _FREE.search((yield write(BEDS)))
        free = int(found[1]) if found else 0
    yield because + write(SUBMIT, patient_id=seen.patient, level=level, disposition=place_of(level, free))


def demonstrated(rng: random.Random | None, opening: str, write: Write) -> Play:
    """As the oracle, with a line above the answer that says what it rests on; with `rng` it submits any level."""
    seen = Seen(opening)
    found = yield from _read(seen, write)
    level = decide(found).level if rng is None else rng.choice(LEVELS)
    yield from _ended(seen, level, found.flags, write, f"{compared(found, seen.simple)}\n")


def compared(found: Findings, simple: bool) -> str:
    """What the tree compares: `signs none, spo2 98, pulse 80, breaths 14, resources 2`. It judges nothing."""
    signs = sorted({*found.flags, *([IMMEDIATE] if found.immediate else [])})
    vitals = f"spo2 {found.spo2:.0f}, pulse {found.pulse:.0f}, breaths {found.resp_rate:.0f}"
    facts = [f"signs {' '.join(signs) or 'none'}", *([] if simple or found.immediate else [vitals])]
    return ", ".join([*facts, *([f"resources {resources(found.care)}"] if found.care else [])])


def _reading_all(choose: Callable[[Seen, dict[str, str]], int], opening: str, write: Write) -> Play:
    """Reads everything, and submits what `choose` says of the patient and of what does not decide."""
    seen, said = Seen(opening), dict[str, str]()
    yield write(SURVEY_READ, patient_id=seen.patient)
    if not seen.simple:
        yield write(VITALS_READ, patient_id=seen.patient)
        for topic in TOPICS:
            said[topic] = yield write(HISTORY_TOOL, patient_id=seen.patient, part=topic)
        said["presentation"] = yield write("presentation", patient_id=seen.patient)
        said["pain"] = yield write("pain", patient_id=seen.patient)
    yield write(CARE_READ, patient_id=seen.patient)
    yield from _ended(seen, choose(seen, said), frozenset(), write)


def _at_once(level: int, opening: str, write: Write) -> Play:
    yield from _ended(Seen(opening), level, frozenset(), write)


def _alarming(opening: str, write: Write) -> Play:
    """Calls every team, and takes the patient for the most urgent."""
    seen = Seen(opening)
    if not seen.simple:
        yield write(ACTIVATE, patient_id=seen.patient, team="stroke")
        yield write(ACTIVATE, patient_id=seen.patient, team=TEAM_RESUSCITATION)
    yield from _at_once(1, opening, write)


def _looping(opening: str, write: Write) -> Play:
    while True:
        yield write(SURVEY_READ, patient_id=Seen(opening).patient)


def _constant(level: int, seen: Seen, said: dict[str, str]) -> int:
    return level


def _coin(seen: Seen, said: dict[str, str]) -> int:
    return 1 + zlib.crc32(f"{seen.patient} {seen.months}".encode()) % len(LEVELS)


def _by_age(seen: Seen, said: dict[str, str]) -> int:
    return 2 if seen.months < 36 or seen.months > 70 * MONTHS else 4


def _by_complaint(seen: Seen, said: dict[str, str]) -> int:
    return 1 + zlib.crc32(seen.complaint.encode()) % len(LEVELS)


def _by_pain(seen: Seen, said: dict[str, str]) -> int:
    return 2 if said.get("pain", "pain 0") >= "pain 5" else 4


def _by_manner(seen: Seen, said: dict[str, str]) -> int:
    manner = said.get("presentation", "")
    return 1 if "ambulance" in manner else 5 if "calm" in manner else 3


BLIND: Mapping[str, Plan] = {
    **{f"read all, submit {level}": partial(_reading_all, partial(_constant, level)) for level in LEVELS},
    **{f"submit {level} at once": partial(_at_once, level) for level in LEVELS},
    "coin": partial(_reading_all, _coin),
    "by age": partial(_reading_all, _by_age),
    "by complaint": partial(_reading_all, _by_complaint),
    "by pain": partial(_reading_all, _by_pain),
    "by manner": partial(_reading_all, _by_manner),
    "alarm": _alarming,
    "loop": _looping,
}
"""Policies that decide without what decides."""
