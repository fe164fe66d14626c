"""Doses that the label forbids: ten or a hundred times as much, grams for milligrams, every two hours for daily."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from envs.verdict.knowledge.tables import table
from envs.verdict.scribe.edits import Edit

FACTORS = (10, 100)
MOST = 20  # times the ceiling: more is a slip of the pen that every reader sees
TIMES_A_DAY = 12
_DOSE = re.compile(
    r"\b(?P<drug>[a-z]+) (?:at )?(?P<amount>\d+(?:\.\d+)?) ?(?P<unit>mg)\b(?!/)"
    r"(?: (?P<often>daily|once daily|once a day)\b)?",
    re.I,
)
_OTHERS = re.compile(r"\b(?:mother|father|brother|sister|overdose|ingest\w+|tablets of)\b", re.I)


def overdoses(sentences: Sequence[str]) -> Iterable[Edit]:
    """Every edit of one span that makes a stated dose exceed the largest daily one of the label."""
    ceilings: dict[str, float] = table("drugs")["ceilings_mg_per_day"]
    for number, sentence in enumerate(sentences):
        for match in _DOSE.finditer(sentence) if not _OTHERS.search(sentence) else ():
            most, amount = ceilings.get(match["drug"].lower()), float(match["amount"])
            if most is None or amount > most:
                continue
            for factor in FACTORS:
                if most < amount * factor <= MOST * most:
                    yield _edit(number, match, "amount", f"{amount * factor:g}", "dose")
            if most < amount * 1000:
                yield _edit(number, match, "unit", "g", "dose_unit")
            if match["often"] and most < amount * TIMES_A_DAY:
                yield _edit(number, match, "often", "every 2 hours", "dose_interval")


def _edit(number: int, match: re.Match[str], group: str, new: str, rule: str) -> Edit:
    return Edit(operator=f"inject:A:{rule}", sentence=number, start=match.start(group), old=match[group], new=new)
