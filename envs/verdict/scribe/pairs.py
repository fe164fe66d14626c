"""Sentence pairs that the gate is judged by: paraphrases that keep every fact, and changes of one fact by its kind.

Written for this project, none taken from notes. A line of `gate_pairs/*.txt` is `one sentence => the other`, or a
sentence with `[this>that]` for the two versions of a span; `# kind` heads the changes of a kind. The `_heldout` files
were written after the gate, which was not fitted to them.
"""

from __future__ import annotations

import re
from pathlib import Path

from common.records import Record

KEPT = "kept"
_CHOICE = re.compile(r"\[([^>\]]*)>([^\]]*)\]")
_FEMALE, _MALE = re.compile(r"\b(?:she|her|woman|girl)\b", re.I), re.compile(r"\b(?:he|his|him|man|boy)\b", re.I)


class Pair(Record):
    """Two sentences; `kind` is `KEPT` or what changes from one to the other."""

    kind: str
    one: str
    other: str
    heldout: bool

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
    for name, heldout in ((name, heldout) for heldout in (False, True) for name in ("changed", KEPT)):
        kind = name
        file = folder / f"{name}{'_heldout' if heldout else ''}.txt"
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("# "):
                kind = line.removeprefix("# ")
            elif line:
                pairs.append(_pair(kind, line, heldout))
    return pairs


def _pair(kind: str, line: str, heldout: bool) -> Pair:
    one, arrow, other = line.partition(" => ")
    if not arrow:
        one, other = _CHOICE.sub(r"\1", line), _CHOICE.sub(r"\2", line)
    return Pair(kind=kind, one=_capital(one), other=_capital(other), heldout=heldout)


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
