"""The concepts of a sentence: its words that carry a fact, each thing by one name.

A rewording must keep them one for one; words that carry no fact (`language.light`) may come and go, forms of one thing
(`synonyms.same`) and parts of speech of one root count as one. What the same words say in another order is read by
`relations.py`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from functools import cache

from envs.verdict.knowledge.tables import WORD, table, words

_START = re.compile(r"(?<![\w-])[a-z0-9]+")
_INNER = re.compile(r"[\w-]")
SPANS_OF_TIME = frozenset(("second", "minut", "hour", "day", "week", "month", "year"))
ROOT = 4  # letters that two words of one root share
_ENDINGS = frozenset(
    ["", "ed", "ing", "ion", "ation", "tion", "ition", "ption", "be", "ment", "ness", "ful", "y", "al", "ic", "ous",
     "ive", "ity", "ance", "ence", "ant", "ent", "er", "or", "ly", "ur", "ure", "ize", "iz", "ac", "anc", "enc", "iv",
     "at", "is", "b", "us", "um", "a", "ia", "ary", "ory", "ar", "ible", "able", "abl", "atous", "ology", "graphy",
     "gram", "graph", "th", "ish", "in", "s", "e", "l", "ae", "tic", "ement"]
)  # fmt: skip


def concepts(text: str) -> list[str]:
    """The lemmas of the words of a unified text that carry a fact, in their order."""
    found = list[str]()
    for match in WORD.finditer(text):
        parts = match[0].split("-")
        for part in parts if len(parts) == 1 else (_first_forms().get(part, part) for part in parts):
            lemma = _lemma(part.removeprefix("non") if len(part) > 6 else part)
            if lemma not in _light() and not part.isdigit():
                found.append(lemma)
    return found


def lost(before: Collection[str], after: Collection[str]) -> set[str]:
    """The concepts of `before` that `after` does not have, not even in another part of speech."""
    new = set(after) - set(before)
    return {one for one in set(before) - set(after) if not any(is_derived(one, other) for other in new)}


@cache
def is_derived(one: str, other: str) -> bool:
    """Do two lemmas differ by endings alone that make a noun, a verb or an adjective of one root?"""
    root = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return root >= ROOT and one[root:] in _ENDINGS and other[root:] in _ENDINGS


def unified(text: str) -> str:
    """Every form of a thing written as its first form: the longest phrase that begins at a word, else by its lemma."""
    text = re.sub(r"(?<=\d)(?: y/o|-yr-old|yo)\b", "-year-old", text)
    text = re.sub(r"(?<=\d )[a-z]+", lambda match: _spans_of_time().get(match[0], match[0]), text)
    found, end = list[str](), 0
    for word in _START.finditer(text):
        if word.start() < end:
            continue
        form = next((one for one in _phrases().get(word[0], ()) if _stands(text, one, word.start())), None)
        whole = word.end() == len(text) or text[word.end()] not in "-'"
        first = _first_forms()[form] if form else _by_lemma().get(_lemma(word[0])) if whole else None
        if first:
            found += [text[end : word.start()], first]
            end = word.start() + len(form or word[0])
    return "".join([*found, text[end:]])


def _stands(text: str, phrase: str, at: int) -> bool:
    return text.startswith(phrase, at) and not _INNER.match(text, at + len(phrase))


@cache
def _lemma(word: str) -> str:
    """Without the ending of a plural, a verb or an adverb."""
    for ending, least in (("'s", 1), ("ies", 4), ("ily", 4), ("es", 5), ("s", 3), ("ing", 4), ("ed", 4), ("ly", 5)):
        if word.endswith(ending) and len(word) - len(ending) >= least and not word.endswith(("ss", "us", "is")):
            bare = word.removesuffix(ending) + ("y" if ending in ("ies", "ily") else "")
            if ending in ("ing", "ed") and re.search(r"([bdgmnprt])\1$", bare):
                bare = bare[:-1]
            return bare.removesuffix("e")
    return word.removesuffix("e")


@cache
def _light() -> frozenset[str]:
    return frozenset(map(_lemma, words("language", "light")))


@cache
def _spans_of_time() -> dict[str, str]:
    return {short: long for long, short in table("language")["unit_forms"].items()}


@cache
def _first_forms() -> dict[str, str]:
    groups: dict[str, list[str]] = table("synonyms")["same"]
    return {form: first for first, forms in groups.items() for form in (first, *forms)}


@cache
def _phrases() -> dict[str, list[str]]:
    """The forms by their first word, the longest first."""
    found = defaultdict[str, list[str]](list)
    for form in sorted(_first_forms(), key=len, reverse=True):
        start = _START.match(form)
        assert start is not None
        found[start[0]].append(form)
    return dict(found)


@cache
def _by_lemma() -> dict[str, str]:
    """First forms by the lemma of a form of one word."""
    single = {form: first for form, first in _first_forms().items() if form.isalpha() and len(_lemma(form)) >= ROOT}
    return {_lemma(form): first for form, first in single.items() if _lemma(form) not in _light()}
