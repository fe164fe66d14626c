"""What the checker can prove of an injected error from the clean note alone.

None of the generator's rules or readers is used: numbers are found by their unit and named by the words before them,
the patient by the words of the first sentence, and a term by the clause that holds it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from envs.knowledge.rows import Contradiction, contradictions, measures
from envs.verdict.knowledge.tables import table

KINDS: Mapping[str, tuple[str, ...]] = {
    "diagnosis": ("diagnosis",),
    "drug": ("pharmacotherapy", "treatment", "management"),
    "act": ("management", "treatment"),
}
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}
_ARTICLE = re.compile(r"^(?:an?|the) ")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_QUANTITY = re.compile(r"(\d[\d,]*(?:\.\d+)?)\s?((?:[^\s\d,;()]+(?: (?:hg|per minute))?[23]?)?)")
_OTHER_FLUID = frozenset(
    [
        "csf",
        "cerebrospinal",
        "urine",
        "urinary",
        "urinalysis",
        "pleural",
        "synovial",
        "ascites",
        "ascitic",
        "peritoneal",
        "fetal",
        "mother",
        "sweat",
    ]
)
_NOT_THIS_PATIENT = frozenset(
    [
        "no",
        "not",
        "without",
        "denies",
        "denied",
        "never",
        "negative",
        "father",
        "mother",
        "brother",
        "sister",
        "family",
        "uncle",
        "aunt",
        "rule",
        "ruled",
        "unlikely",
        "risk",
        "grandmother",
        "grandfather",
    ]
)
_MEN, _WOMEN = (
    frozenset(["man", "boy", "male", "gentleman"]),
    frozenset(["woman", "girl", "female", "lady", "gravida", "primigravida"]),
)


def name_of(text: str) -> str:
    """What a replaced span names: lower case, without its article and a verb that agrees with it."""
    return _ARTICLE.sub("", re.sub(r" (?:is|are|was|were)$", "", text.lower()))


def proofs(source: Sequence[str], at: int, old: str, new: str, annotated: str | None = None) -> set[str]:
    """The error types that the clean note itself proves when `new` replaces `old` in sentence `at`.

    `annotated` is the type that the annotators gave to an error in that sentence.
    """
    return _by_statement(source, at, old, new) | _by_table(source, new, annotated)


def _by_table(source: Sequence[str], new: str, annotated: str | None) -> set[str]:
    """Contradictions of `envs/knowledge`: every condition of a row must stand in the note, `new` must not."""
    said, note = name_of(new), " ".join(source).lower()
    rows = [row for row in contradictions() if name_of(row.say) == said]
    if said in note or not rows:
        return set()
    facts = Patient(source)
    kinds = {row.kind for row in rows if all(facts.is_stated(condition) for condition in row.wrong)}
    return {annotated if annotated in KINDS[kind] else KINDS[kind][0] for kind in kinds}


def because(source: Sequence[str], new: str) -> tuple[Contradiction, ...]:
    """The rows of the tables that `new` contradicts in this note, for a reader."""
    facts = Patient(source)
    return tuple(
        row for row in contradictions() if name_of(row.say) == name_of(new) and all(map(facts.is_stated, row.wrong))
    )


class Patient:
    """The patient of a note, by what its sentences say."""

    def __init__(self, source: Sequence[str]) -> None:
        self._sentences = [sentence.lower() for sentence in source]
        self._opening = re.findall(r"[a-z]+", self._sentences[0])

    def is_stated(self, condition: str) -> bool:
        """Does the note say so? The language of conditions is that of `envs.knowledge.rows.Contradiction`."""
        parts = condition.split(" ")
        if len(parts) >= 3 and parts[-2] in _COMPARE:
            found, compare = self._values(" ".join(parts[:-2])), _COMPARE[parts[-2]]
            return bool(found) and all(compare(value, float(parts[-1])) for value in found)
        if parts[0] == "states":
            return any(_affirms(sentence, condition.removeprefix("states ")) for sentence in self._sentences)
        words = set(self._opening)
        is_male, is_female = bool(words & _MEN), bool(words & _WOMEN)
        if condition == "pregnant":
            return is_female and not is_male and self._is_pregnant()
        return is_male != is_female and (is_male if condition == "male" else is_female)

    def _is_pregnant(self) -> bool:
        note = " ".join(self._sentences)
        over = ("postpartum", "post-partum", "deliver", "miscarr", "abort", "terminat", "not pregnant", "birth")
        said = any(word in self._sentences[0] for word in ("pregnant", "prenatal", "gestation"))
        return said and not any(word in note for word in over) and min(self._values("age"), default=0.0) >= 14

    def _values(self, name: str) -> list[float]:
        if name == "age":
            found = re.findall(r"(\d+)[\s-](year|month|week|day)s?[\s-]old", self._sentences[0])
            parts = {"year": 1, "month": 12, "week": 52, "day": 365}
            ages = {int(number) / parts[unit] for number, unit in found}
            return list(ages) if len(ages) == 1 else []
        usable = [s for s in self._sentences if not _OTHER_FLUID & set(re.findall(r"[a-z]+", s))]
        if name in ("systolic", "diastolic"):
            pairs = [pair for s in usable if "pressure" in s or re.search(r"\bbp\b", s) for pair in _pressures(s)]
            return [float(pair[name == "diastolic"]) for pair in pairs]
        return [value for s in usable for value in _quantities(s, name)]


def _pressures(sentence: str) -> list[tuple[str, str]]:
    return re.findall(r"(?<![\d/.])(\d{2,3})/(\d{2,3})(?![\d/])", sentence)


def _quantities(sentence: str, name: str) -> list[float]:
    """The numbers with a unit of the measure, of which the nearest words before name it."""
    measure = next(one for one in measures() if one.name == name)
    found = list[float]()
    for match in _QUANTITY.finditer(sentence):
        words = sentence[: match.start()]  # a name may hold a digit, as in `ca2+`
        unit = match[2].rstrip(".):")
        if not any(unit.startswith(known) if known else True for known in measure.units):
            continue
        value = float(match[1].replace(",", ""))
        if _ends_with_name(words, measure.words) and measure.low <= value <= measure.high:
            found.append(value)
    if name == "temperature" and "temperature" in sentence and not found:
        found = [(float(f) - 32) / 1.8 for f in re.findall(r"(\d+(?:\.\d+)?) ?°? ?f\b", sentence)]
    return found


_FILLER = frozenset(
    [
        "level",
        "levels",
        "concentration",
        "count",
        "is",
        "was",
        "of",
        "at",
        "in",
        "serum",
        "shows",
        "show",
        "showed",
        "measures",
        "room",
        "air",
    ]
)


def _ends_with_name(words: str, names: Sequence[str]) -> bool:
    """Do the words before a number end with a name of the measure, but for words that carry no meaning?"""
    left = words.rstrip(" :")
    while left:
        if any(left == name or left.endswith((" " + name, "(" + name, "," + name)) for name in names):
            return True
        head, _, last = left.rpartition(" ")
        if last.strip(":") not in _FILLER:
            return False
        left = head.rstrip(" :")
    return False


def _affirms(sentence: str, term: str) -> bool:
    words = re.findall(r"[a-z]+", sentence)
    return re.search(rf"\b{re.escape(term)}\b", sentence) is not None and not _NOT_THIS_PATIENT & set(words)


def _by_statement(source: Sequence[str], at: int, old: str, new: str) -> set[str]:
    """An allergy, a culture, a side, a look-alike, or a dose above the label's largest."""
    drugs, was, now = table("drugs"), name_of(old), name_of(new)
    others = [s.lower() for i, s in enumerate(source) if i != at]
    before = " ".join(source[:at]).lower()
    found = set[str]()
    for kind, members in drugs["classes"].items():
        names = [*members, *(name for name, of in drugs["class_names"].items() if of == kind)]
        stated = any("allerg" in s and any(name in s for name in names) for s in others)
        if now in members and was not in members and stated:
            found.add("pharmacotherapy")
    if any("culture" in s and was in s for s in others) and not any(now in s for s in others):
        found.add("causalOrganism")
    sides = {was.split()[0], now.split()[0]}
    if sides == {"left", "right"} and was.split()[0] in before and now.split()[0] not in " ".join(others):
        found |= {"management", "diagnosis"}
    pairs = [set(pair) for pair in drugs["look_alikes"]]
    if {was, now} in pairs and was in before and not any(now in s for s in source):
        found.add("pharmacotherapy")
    if _is_overdose(source[at], old, new):
        found.add("pharmacotherapy")
    return found


@cache
def _ceilings() -> Mapping[str, float]:
    found: Mapping[str, float] = table("drugs")["ceilings_mg_per_day"]
    return found


def _is_overdose(sentence: str, old: str, new: str) -> bool:
    """Does the drug of this sentence get more than its ceiling a day, and got less before?"""
    low = sentence.lower()
    ceilings = [most for name, most in _ceilings().items() if name in low]
    doses = [float(number) for number in re.findall(r"(\d+(?:\.\d+)?) ?mg\b", low)]
    if not ceilings or not doses:
        return False
    if _NUMBER.fullmatch(new) and _NUMBER.fullmatch(old):
        return float(new) > max(ceilings) >= float(old)
    change = (old.lower(), new)
    a_day = 1000 if change == ("mg", "g") else 12 if "da" in old and new == "every 2 hours" else 0
    return min(doses) * a_day > max(ceilings) >= max(doses)
