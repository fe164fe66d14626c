"""The curated tables of `knowledge/`: read once, in the shapes that edits, gate and injections look words up in."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

WORD = re.compile(r"[A-Za-z0-9]+(?:[-'’][A-Za-z0-9]+)*")


@cache
def table(name: str) -> dict[str, Any]:
    """One JSON table, for example `drugs`. Its `source` says of each group where it comes from."""
    path = Path(__file__).parent / f"{name}.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@cache
def words(name: str, key: str) -> frozenset[str]:
    """A list of `table(name)`, or a mapping's keys, as a set; `built.json` (see `knowledge.build`) adds to some."""
    return frozenset(table(name)[key]) | frozenset(table("built").get(f"{name}.{key}", ()))


def stem(word: str) -> str:
    """Lower case without a plural s: coarse, and the same on both sides of every comparison."""
    low = word.lower()
    return low[:-1] if len(low) > 3 and low.endswith("s") and not low.endswith(("ss", "us", "is")) else low


def content_words(text: str) -> frozenset[str]:
    """Stems of the words of four or more letters that carry meaning."""
    skip = words("language", "stopwords")
    return frozenset(stem(word) for word in WORD.findall(text) if len(word) > 3 and word.lower() not in skip)


def alternatives(phrases: frozenset[str] | dict[str, str], ignore_case: bool = True) -> re.Pattern[str]:
    """A pattern that finds any of `phrases` as whole words, longest first."""
    body = "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{body})(?![\w-])", re.IGNORECASE if ignore_case else 0)
