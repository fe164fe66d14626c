"""Triage again: tables of patterns over the sentences and numbers of the record; the first row that matches decides.

Source of the tables: the same handbook as the game's (AHRQ Publication 12-0014), entered a second time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Raw = Mapping[str, Any]
_REQUEST = re.compile(r"Patient (P\d+): (female|male), (\d+) (months|years), ([a-z ]+)\.")
_URGENT = {
    "A": r"only to pain|not even to pain|severe respiratory distress|Groans when pinched|single words only",
    "confused": r"(Confused|Disoriented) since (this morning|an hour ago)\.|since yesterday, knew it before",
    "lethargic": r"Lethargic since this morning|Limp and drowsy since",
    "stroke": r"For \d+ minutes the left arm is weak and speech is slurred|drooped .* for an hour",
    "ectopic": r"period \w+ weeks late, pregnancy test positive|weeks pregnant by dates, with pain",
    "chemo": r"Chemotherapy .*, last given \w+ days ago|On chemotherapy .* last week",
    "suicide": r"Wants to end life|life should end today",
}
"""What a sentence says that counts."""
_HARMLESS = (
    r"Alert|Asleep, wakes at once|known dementia, no change|Tired since this morning, wakes at once",
    r"Breathing is quiet|A little short of breath, not in distress",
    r"stroke four years ago, no change|pregnancy test negative|completed nine years ago|does not want to die",
    r"It began yesterday|It comes and goes|[Nn]o earlier illness|Asthma as a child|Appendix removed",
    r"speaks in whole sentences|the month for years, no change|looks around when woken|palsy \w+ years ago, no change",
    r"chemotherapy for leukaemia \w+ years ago|wants to live",
    r"No worries|annoyed at the wait|The parents|Allergic to|No allergy known",
)
"""What a sentence may say beside."""
_RESOURCES = (
    (r"blood count|electrolytes|urinalysis", "L", 1),
    (r".* x-ray", "X", 1),
    (r"CT of .*", "C", 1),
    (r"ultrasound of .*", "U", 1),
    (r"intravenous fluids", "F", 1),
    (r"(intravenous|intramuscular|nebulised) (antibiotic|analgesic|salbutamol)", "M", 1),
    (r"specialist consultation", "S", 1),
    (r"suture of .*|urinary catheter", "P", 1),
    (r".* under sedation", "Z", 2),
    (
        r"oral .*|.* immunisation|point-of-care .*|saline lock|.* dressing|splint|crutches|prescription .*|phone .*",
        "",
        0,
    ),
)
_DANGER = ((3, 180, 50), (36, 160, 40), (96, 140, 30), (10**6, 100, 20))
"""Months of age below which the row holds, pulse and breaths a minute above which there is danger."""


class _Record(NamedTuple):
    """What the policy can find out."""

    months: int
    said: dict[tuple[str, str], set[str]]
    vitals: dict[str, float]
    resources: int
    free: int

    def has(self, *names: str, part: str = "") -> bool:
        """Whether one of these is said anywhere, or in this part."""
        return any(set(names) & found for place, found in self.said.items() if part in ("", place[0]))

    @property
    def chemo(self) -> bool:
        """Chemotherapy counts with a fever."""
        return self.has("chemo") and self.vitals["temp"] >= 38

    @property
    def danger(self) -> bool:
        """The danger zone of the age."""
        _, pulse, breaths = next(row for row in _DANGER if self.months < row[0])
        return self.vitals["spo2"] <= 91 or self.vitals["pulse"] > pulse or self.vitals["resp_rate"] > breaths


_TREE: Sequence[tuple[Callable[[_Record], bool], int, str]] = (
    (lambda one: one.has("A"), 1, "A"),
    (lambda one: one.vitals["spo2"] <= 89, 1, "A"),
    (lambda one: one.has("confused", "lethargic", "stroke", "ectopic", "suicide"), 2, "B"),
    (lambda one: one.chemo, 2, "B"),
    (lambda one: one.resources == 0, 5, "C"),
    (lambda one: one.resources == 1, 4, "C"),
    (lambda one: one.danger, 2, "D"),
    (lambda one: True, 3, "D"),
)


def disagreement(context: Raw, answer: Raw) -> str | None:
    """Why the answer is not what the record says. Raises ValueError for what cannot be read."""
    found = _REQUEST.fullmatch(context["request"])
    if found is None:
        raise ValueError(f"the request cannot be read: {context['request']!r}")
    patient_id, sex, number, unit, _ = found.groups()
    (patient,) = context["world"]["patients"]
    if patient["patient_id"] != patient_id or {"F": "female", "M": "male"}[patient["sex"]] != sex:
        return f"the request is about {patient_id}, {sex}; the record about {patient['patient_id']}, {patient['sex']}"
    if patient["age_months"] // (12 if unit == "years" else 1) != int(number):
        return f"the request says {number} {unit}, the record {patient['age_months']} months"
    record = _read(context["world"], patient)
    _, level, point = next(row for row in _TREE if row[0](record))
    expected = {
        "subject": patient_id,
        "level": level,
        "point": point,
        "place": _place(level, record.free),
        "needed": _needed(record, point, context["tier"]),
        "teams": _teams(level, record) if context["tier"] != "first" else [],
        "emergency": point in ("A", "B"),
    }
    wrong = [name for name in expected if answer[name] != expected[name]]
    return f"{wrong[0]} is {answer[wrong[0]]}, the record says {expected[wrong[0]]}" if wrong else None


def _read(world: Raw, patient: Raw) -> _Record:
    said, care = dict[tuple[str, str], set[str]](), ""
    for one in patient["said"]:
        if one["part"] == "care":
            care = one["text"]
        elif one["part"] != "presentation":
            said[one["part"], one["topic"]] = _meaning(one["text"])
    vitals = {row["code"]: row["value"] for row in patient["readings"]}
    if len(vitals) != len(patient["readings"]) or any(
        row["t_min"] != world["clock_min"] for row in patient["readings"]
    ):
        raise ValueError("the vital signs are not those of the arrival, one of each")
    free = sum(not bed["taken"] for bed in world["beds"] if bed["area"] == "acute_bed")
    return _Record(patient["age_months"], said, vitals, _counted(care), free)


def _meaning(text: str) -> set[str]:
    found = {name for name, pattern in _URGENT.items() if re.search(pattern, text)}
    if not found and not any(re.search(pattern, text) for pattern in _HARMLESS):
        raise ValueError(f"no meaning is known of {text!r}")
    return found


def _counted(care: str) -> int:
    kinds = dict[str, int]()
    for item in care.split(", "):
        rows = [(kind, count) for pattern, kind, count in _RESOURCES if re.fullmatch(pattern, item)]
        if len(rows) != 1:
            raise ValueError(f"{item!r} is in {len(rows)} rows of the table of resources")
        kinds.update(rows)
    return sum(kinds.values())


def _place(level: int, free: int) -> str:
    return ("resuscitation", "acute_bed", "acute_bed" if free > 0 else "waiting_room", "fast_track", "fast_track")[
        level - 1
    ]


def _teams(level: int, record: _Record) -> list[str]:
    return ["resuscitation"] if level == 1 else ["stroke"] if record.has("stroke") else []


def _needed(record: _Record, point: str, tier: str) -> list[str]:
    """The way through the tree: what is read until a row matches."""
    looked = ["primary_survey", *([] if tier == "first" else ["vitals"])]
    if point == "A":
        return looked[:1] if record.has("A") else looked
    if point == "B":
        counting = {"stroke", "ectopic", "suicide"} | ({"chemo"} if record.chemo else set())
        return looked + [
            f"history:{topic}" for (part, topic), said in record.said.items() if part == "history" and said & counting
        ]
    topics = [] if tier == "first" else ["history:onset", "history:past", "history:mind"]
    return [*looked, *topics, "expected_care"]
