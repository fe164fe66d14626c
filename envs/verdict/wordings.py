"""The checker's own judgement of a model's wording of a sentence. It cannot be proved the same: numbers must agree, and
whether anything is denied."""

from __future__ import annotations

import re
from collections import Counter

from envs.verdict.cosmetic import normal

_WORD = re.compile(r"\w+")
_TIMES = (("twice", "2 times"), ("thrice", "3 times"))
_DENIALS = frozenset(
    [
        "no",
        "not",
        "without",
        "denies",
        "denied",
        "never",
        "none",
        "neither",
        "nor",
        "absent",
        "negative",
        "cannot",
        "unable",
        "lacks",
        "nobody",
    ]
)
_DENYING = re.compile(
    r"non\w*|\w{3,}less|painfree|un(?:complicated|eventful|remarkable|able|affected)|afebrile|disoriented|asymptomatic|"
    r"normal(?:ly)?|intact|preserved|dry(?:ness)?|spares|spared|sparing"
)
"""Words that deny by themselves: `painless` says `no pain`, and a normal examination shows no abnormality."""


def says_alike(before: str, after: str) -> bool:
    """Do both sentences hold the same numbers, but for a lone `one`, and both deny something or neither?"""
    one, two = (_WORD.findall(normal(_spelled(text))) for text in (before, after))
    return _numbers(one) == _numbers(two) and _denies(one) == _denies(two)


def _spelled(text: str) -> str:
    text = text.lower().replace("-", " ")
    for word, meaning in _TIMES:
        text = re.sub(rf"\b{word}\b", meaning, text)
    return text


def _numbers(words: list[str]) -> Counter[str]:
    return Counter(word for word in words if word.isdigit() and word != "1")


def _denies(words: list[str]) -> bool:
    return any(word in _DENIALS or _DENYING.fullmatch(word) for word in words)
