"""The rules of a protocol, read from the text of its excerpt and from nothing else."""

from __future__ import annotations

import re
from typing import NamedTuple

_SENTENCES = {
    "age": r"4\.1 Age must be (\d+) to (\d+) years, both included\. A missing age is a violation\.",
    "window": r"5\.2 Treatment must start at most (\d+) days after enrolment\.",
    "extension": r"5\.3 For Stage IV the limit of 5\.2 is (\d+) days longer\.",
    "override": r"5\.4 If the comorbidity index is above (\d+), 5\.3 does not apply\.",
    "order": r"6\.1 A death must not be dated before the start of treatment\.",
    "group": r"7\.1 No ethnic group may be more than (\d+) % of the control arm\.",
    "men": r"7\.2 Men may not be more than (\d+) % of an arm\.",
    "gap": r"7\.3 Deaths at rural and at other sites, adjusted by stage, may differ by at most (\d+) percentage "
    r"points\.",
}
_AMENDMENT = re.compile(r"5\.5 Amendment: (.+)")
_NEW_AGE = re.compile(r"the highest age in 4\.1 is now (\d+) years\.")
_NEW_WINDOW = re.compile(r"the limit in 5\.2 is now (\d+) days\.")
_REQUIRED = ("age", "window", "extension", "order")


class Rules(NamedTuple):
    """What the excerpt demands after its amendment, which changes the clause `amended`; `numbers` are all clauses."""

    youngest: int
    oldest: int
    window: int
    extension: int
    override: int | None
    amended: str
    limits: dict[str, int]
    numbers: frozenset[str]


def read(excerpt: str) -> Rules:
    """The rules. Raises ValueError for a line that it cannot read, and for a rule that is missing or stated twice."""
    title, *lines = excerpt.split("\n")
    if re.fullmatch(r"Protocol ONC-[0-9A-F]{6}", title) is None:
        raise ValueError(f"the excerpt begins with {title!r}")
    found: dict[str, tuple[int, ...]] = {}
    amendment = ""
    for line in lines:
        if match := _AMENDMENT.fullmatch(line):
            amendment = match[1]
            continue
        name, numbers = _sentence(line)
        if name in found:
            raise ValueError(f"two clauses say {name}")
        found[name] = numbers
    if missing := [name for name in _REQUIRED if name not in found]:
        raise ValueError(f"no clause says {missing[0]}")
    return _amended(found, amendment, frozenset(line.split(" ")[0] for line in lines))


def _sentence(line: str) -> tuple[str, tuple[int, ...]]:
    for name, pattern in _SENTENCES.items():
        if match := re.fullmatch(pattern, line):
            return name, tuple(map(int, match.groups()))
    raise ValueError(f"no rule is known that says {line!r}")


def _amended(found: dict[str, tuple[int, ...]], amendment: str, numbers: frozenset[str]) -> Rules:
    youngest, oldest = found["age"]
    (window,), (extension,) = found["window"], found["extension"]
    clause = ""
    if match := _NEW_AGE.fullmatch(amendment):
        oldest, clause = int(match[1]), "4.1"
    elif match := _NEW_WINDOW.fullmatch(amendment):
        window, clause = int(match[1]), "5.2"
    return Rules(
        youngest=youngest,
        oldest=oldest,
        window=window,
        extension=extension,
        override=found["override"][0] if "override" in found else None,
        amended=clause,
        limits={name: found[name][0] for name in ("group", "men", "gap") if name in found},
        numbers=numbers,
    )
