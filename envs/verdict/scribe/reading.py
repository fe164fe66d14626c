"""What a note states of its patient: sex, age, pregnancy, measured values; nothing where it is not plain."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

from common.records import Record
from envs.knowledge.rows import Measure, measures
from envs.verdict.scribe.phrases import holds

_AGE = re.compile(r"(\d{1,3})[- ](year|month|week|day)s?[- ]old", re.I)
_YEARS = {"year": 1.0, "month": 1 / 12, "week": 1 / 52, "day": 1 / 365}
_MALE = re.compile(r"\b(?:man|boy|male|gentleman)\b", re.I)
_FEMALE = re.compile(r"\b(?:woman|girl|female|lady|primigravida?|gravida)\b", re.I)
_PREGNANT = re.compile(r"\bpregnant\b|\bweeks['’]? (?:of )?gestation\b|\bprenatal\b", re.I)
_DELIVERED = re.compile(r"\b(?:post-?partum|deliver|miscarr|abort|terminat|birth|not pregnant)", re.I)
_PRESSURE = re.compile(r"\b(?:blood pressure|BP)\b[^.;]{0,30}?\b(\d{2,3})/(\d{2,3})\b", re.I)
_ELSEWHERE = re.compile(
    r"\b(?:csf|cerebrospinal|urine|urinary|urinalysis|pleural|synovial|asci\w+|peritoneal|fetal|mother|sweat)\b", re.I
)
_DENIED = re.compile(
    r"\b(?:no|not|without|denies|denied|never|negative|father|mother|brother|sister|family|uncle|aunt|grand\w+|"
    r"rule[ds]? out|unlikely|risk)\b",
    re.I,
)
_FAHRENHEIT = re.compile(r"(\d{2,3}(?:\.\d+)?) ?°? ?F\b")
_BOUND = re.compile(r"(.+) (<=|>=) ([\d.]+)")


class Reading(Record):
    """The facts of a note. `values` are all values of each measure, in the unit of the tables; `age` is among them."""

    male: bool
    female: bool
    pregnant: bool
    values: Mapping[str, tuple[float, ...]]
    sentences: tuple[str, ...]

    def holds(self, condition: str) -> bool:
        """Does the note state `condition`? See `envs.knowledge.rows.Contradiction`."""
        bound = _BOUND.fullmatch(condition)
        if bound:
            found, limit = self.values.get(bound[1], ()), float(bound[3])
            return bool(found) and all(value <= limit if bound[2] == "<=" else value >= limit for value in found)
        if condition.startswith("states "):
            return any(_states(sentence, condition.removeprefix("states ")) for sentence in self.sentences)
        return {"male": self.male, "female": self.female, "pregnant": self.pregnant}[condition]


def read(sentences: Sequence[str]) -> Reading:
    """The facts of a note, from its own words alone."""
    first, note = sentences[0], " ".join(sentences)
    ages = {float(m[1]) * _YEARS[m[2].lower()] for m in _AGE.finditer(first)}
    male, female = bool(_MALE.search(first)), bool(_FEMALE.search(first))
    pregnant = bool(_PREGNANT.search(first)) and female and not male and min(ages, default=0) >= 14
    values = defaultdict[str, list[float]](list)
    if len(ages) == 1:
        values["age"] += ages
    for sentence in sentences:
        if not _ELSEWHERE.search(sentence):
            for name, value in _measured(sentence):
                values[name].append(value)
    return Reading(
        male=male and not female,
        female=female and not male,
        pregnant=pregnant and not _DELIVERED.search(note),
        values={name: tuple(found) for name, found in values.items()},
        sentences=tuple(sentences),
    )


def sex_of(sentences: Sequence[str]) -> str | None:
    """`male` or `female`, where the note's first sentence says it of its patient alone."""
    reading = read(sentences[:1])
    return "male" if reading.male else "female" if reading.female else None


def _measured(sentence: str) -> list[tuple[str, float]]:
    found = [
        (name, float(m[at])) for m in _PRESSURE.finditer(sentence) for name, at in (("systolic", 1), ("diastolic", 2))
    ]
    for measure in measures():
        for match in _pattern(measure.name).finditer(sentence):
            value = float(match[1].replace(",", ""))
            if measure.low <= value <= measure.high:
                found.append((measure.name, value))
    if "temperature" in sentence.lower() and "temperature" not in dict(found):
        found += [("temperature", (float(m[1]) - 32) * 5 / 9) for m in _FAHRENHEIT.finditer(sentence)]
    return found


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """`serum potassium concentration is 4.2 mEq/L`, `K+ 4.2 mEq/L`; nothing but plain words between name and value."""
    measure: Measure = next(one for one in measures() if one.name == name)
    words = "|".join(re.escape(word) for word in sorted(measure.words, key=len, reverse=True))
    units = "|".join(re.escape(unit) for unit in sorted(measure.units, key=len, reverse=True))
    between = r"(?: (?:level|levels|concentration|count|is|was|of|at|in|serum|shows?|showed|measures?|room|air))*:? "
    return re.compile(rf"(?<![\w-])(?:{words}){between}(\d[\d,]*(?:\.\d+)?) ?(?:{units})(?![a-z])", re.I)


def _states(sentence: str, term: str) -> bool:
    """Does the sentence say that the patient has, or takes, `term`?"""
    low = sentence.lower()
    return term in low and holds(low, term) and not _DENIED.search(low)
