"""Sentence pairs that the gate is judged by: paraphrases that keep every fact, and changes of one fact by its kind.

Written for this project, none taken from notes. A line of `gate_pairs/*.txt` is `one sentence => the other`, or a
sentence with `[this>that]` for the two versions of a span; `# kind` heads the changes of a kind. The gate is fitted to
the development pairs alone. The `_heldout` files were written after its first version, by its author; the `_fresh` ones
by another, who had not read the gate, before its second version.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from common.records import Record

KEPT = "kept"
_CHOICE = re.compile(r"\[([^>\]]*)>([^\]]*)\]")
_FEMALE, _MALE = re.compile(r"\b(?:she|her|woman|girl)\b", re.I), re.compile(r"\b(?:he|his|him|man|boy)\b", re.I)


class Part(StrEnum):
    """What the pairs are for."""

    DEVELOPMENT = "development"
    HELDOUT = "heldout"
    FRESH = "fresh"


class Pair(Record):
    """Two sentences; `kind` is `KEPT` or what changes from one to the other."""

    kind: str
    one: str
    other: str
    part: Part

    @property
    def patient(self) -> str | None:
        """`male` or `female`, where the two sentences name one sex only."""
        both = f"{self.one} {self.other}"
        sexes = [name for name, found in (("female", _FEMALE), ("male", _MALE)) if found.search(both)]
        return sexes[0] if len(sexes) == 1 else None


def read_pairs() -> list[Pair]:
    """All pairs, in the order of the files."""
    folder = Path(__file__).parent / "gate_pairs"
    pairs = list[Pair]()
    for name, part in ((name, part) for part in Part for name in ("changed", KEPT)):
        kind = name
        file = folder / (f"{name}.txt" if part is Part.DEVELOPMENT else f"{name}_{part}.txt")
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("# "):
                kind = line.removeprefix("# ")
            elif line:
                pairs.append(_pair(kind, line, part))
    return pairs


def _pair(kind: str, line: str, part: Part) -> Pair:
    one, arrow, other = line.partition(" => ")
    if not arrow:
        one, other = _CHOICE.sub(r"\1", line), _CHOICE.sub(r"\2", line)
    return Pair(kind=kind, one=_capital(one), other=_capital(other), part=part)


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
