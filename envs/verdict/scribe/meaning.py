"""What a sentence says beyond the names in it: which concepts, and who, when, in what order, on which side, how sure.

A rewording must keep the concepts one for one; words that carry no fact (`language.light`) may come and go, and forms
of one thing (`language.same`) count as one. What the same words say in another order is read from a few relations:
negation, before and after, from and to, more than, and what a side or a number belongs to.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

from common.records import Record
from envs.verdict.knowledge.tables import WORD, alternatives, table, words

_CUE = re.compile(
    r"\b(?:no|not(?! able to)|without|denies|denied|deny|never|neither|nor|none|cannot|(?:un|not |no longer )able to|"
    r"lacks?|absence of|negative for|\w+n't)\b"
)
_AFTER_CUE = re.compile(r"\b(?:is|are|was|were) (?:absent|denied|not present|ruled out|excluded|negative)\b")
_SCOPE_END = re.compile(
    r"[.;:]|,(?! (?:or|and|nor)\b)(?![^,.;]*,? (?:or|nor|and) )|\b(?:but|however|although|except|yet|is|are|was|"
    r"were|seen|on|at|in|by|during|when|while|because|after|before|since|until|for|to)\b"
)
_LATER = re.compile(r"\b(?:after|following|since)\b")
_EARLIER = re.compile(r"\b(?:before|prior to|until)\b")
_WHILE = re.compile(r"\b(?:during|while|when|whenever)\b")
_LED = re.compile(r"\b(?:(?:was|were|is) followed by|preceded|precedes|and then|, then|then|later)\b")
_CAME_AFTER = re.compile(r"(?<!was )(?<!were )(?<!is )\bfollowed\b(?! by)|\b(?:was|were|is) preceded by\b")
_THAN = re.compile(r"\bthan\b")
_TO = re.compile(r"\b(from|to|into|toward)\b")
_SIDES = re.compile(
    r"\b(left|right|upper|lower|inner|outer|anterior|posterior|medial|lateral|proximal|distal|mild|severe|moderate)\b(?:-sided)?"
)
_NUMBER = re.compile(r"(?<![\w.])(\d+(?:[.,/]\d+)*)")
ROOT = 4  # letters that two words of one root share
_ENDINGS = frozenset(
    ["", "ed", "ing", "ion", "ation", "tion", "ition", "ption", "be", "ment", "ness", "ful", "y", "al", "ic", "ous",
     "ive", "ity", "ance", "ence", "ant", "ent", "er", "ly", "ur", "ure", "ize", "iz", "ac", "anc", "enc", "iv", "at",
     "is", "b"]
)  # fmt: skip
_SPANS = frozenset(("second", "minut", "hour", "day", "week", "month", "year"))
_PLAIN = frozenset(
    ("currently", "current", "today", "previously", "take", "tak", "us", "use")
)  # negated with an object or alone


class Meaning(Record):
    """The concepts of a sentence and the relations between them; equal for two wordings of one statement."""

    concepts: Counter[str]
    negated: frozenset[str]
    order: frozenset[tuple[str, frozenset[str], frozenset[str]]]
    bound: frozenset[tuple[str, str]]


def meaning(text: str) -> Meaning:
    """What a canonical text (see `gate.canonical`) says."""
    text = unified(text)
    return Meaning(
        concepts=Counter(concepts(text)),
        negated=_negated(text),
        order=_order(text),
        bound=_sides(text) | _numbers(text),
    )


def lost(before: Counter[str], after: Counter[str]) -> set[str]:
    """The concepts of `before` that `after` does not have, not even in another part of speech."""
    new = after.keys() - before.keys()
    return {one for one in before.keys() - after.keys() if not any(_is_derived(one, other) for other in new)}


@cache
def _is_derived(one: str, other: str) -> bool:
    """Do two lemmas differ by endings alone that make a noun, a verb or an adjective of one root?"""
    root = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return root >= ROOT and one[root:] in _ENDINGS and other[root:] in _ENDINGS


def unified(text: str) -> str:
    """Every form of a thing written as its first form."""
    same: dict[str, str] = table("language")["same"]
    text = re.sub(r"(?<=\d)(?: y/o|-yr-old|yo)\b", "-year-old", text)
    text = re.sub(r"(?<=\d )[a-z]+", lambda match: _spans_of_time().get(match[0], match[0]), text)
    return _forms().sub(lambda match: same[match[0]], text)


def concepts(text: str) -> list[str]:
    """The lemmas of the words that carry a fact, in their order."""
    light = words("language", "light")
    found = list[str]()
    for match in WORD.finditer(text):
        for part in match[0].split("-"):
            bare = part.removeprefix("non") if len(part) > 6 else part
            if part not in light and not part.isdigit():
                found.append(_lemma(bare))
    return found


@cache
def _lemma(word: str) -> str:
    """Without the ending of a plural, a verb or an adverb."""
    same: dict[str, str] = table("language")["same"]
    for ending, least in (("'s", 1), ("ies", 4), ("es", 5), ("s", 3), ("ing", 4), ("ed", 4), ("ly", 5)):
        if word.endswith(ending) and len(word) - len(ending) >= least and not word.endswith(("ss", "us", "is")):
            bare = word.removesuffix(ending) + ("y" if ending == "ies" else "")
            return same.get(bare, bare).removesuffix("e")
    return word.removesuffix("e")


@cache
def _spans_of_time() -> dict[str, str]:
    return {short: long for long, short in table("language")["unit_forms"].items()}


@cache
def _forms() -> re.Pattern[str]:
    return alternatives(frozenset(table("language")["same"]), ignore_case=False)


def _negated(text: str) -> frozenset[str]:
    """The concepts in the reach of a negation, forward from its cue or back from `is absent`."""
    found = set[str]()
    for cue in _CUE.finditer(text):
        end = _SCOPE_END.search(text, cue.end())
        found |= set(concepts(text[cue.end() : end.start() if end else len(text)]))
    for cue in _AFTER_CUE.finditer(text):
        start = max(text.rfind(mark, 0, cue.start()) for mark in (". ", "; ", " but ")) + 1
        found |= set(concepts(text[start : cue.start()]))
    found |= {
        _lemma(word.removeprefix("non")) for word in WORD.findall(text) if word.startswith("non") and len(word) > 6
    }
    return frozenset(found) - _SPANS - _PLAIN


def _order(text: str) -> frozenset[tuple[str, frozenset[str], frozenset[str]]]:
    """What comes first, and what is compared with what: (relation, concepts of one side, concepts of the other)."""
    found = set[tuple[str, frozenset[str], frozenset[str]]]()
    for name, cue, is_turned in (
        ("then", _EARLIER, False),
        ("then", _LATER, True),
        ("while", _WHILE, False),
        ("then", _LED, False),
        ("then", _CAME_AFTER, True),
        ("than", _THAN, False),
    ):
        for match in cue.finditer(text):
            one, two = _split(_opened(text, match), match)
            first, second = (two, one) if is_turned else (one, two)
            found.add((name, _untimed(first), _untimed(second)))
    for match in (
        _TO.finditer(text)
        if re.search(r"\b(?:from\b.*\bto\b|radiat|spread|travel|mov|extend|shift|ascend|switch)", text)
        else ()
    ):
        following = concepts(text[match.end() :])[:1]
        found.add((match[1] if match[1] == "from" else "to", frozenset(following), frozenset()))
    return frozenset(found)


def _untimed(text: str) -> frozenset[str]:
    """The concepts without spans of time: `two days before` is a point."""
    return frozenset(concepts(text)) - _SPANS


def _split(text: str, match: re.Match[str]) -> tuple[str, str]:
    """Both sides of a cue; where it opens the sentence, its own clause ends at the comma."""
    before, after = text[: match.start()], text[match.end() :]
    if _untimed(before) or "," not in after:
        return before, after
    clause, _, rest = after.partition(",")
    return rest, clause


def _opened(text: str, match: re.Match[str]) -> str:
    """A sentence that opens with a clause, with the comma that it may lack before its subject."""
    return (
        re.sub(r"(?<=[a-z]) (?=(?:he|she|they) )", ", ", text, count=1)
        if match.start() < 2 and "," not in text
        else text
    )


def _sides(text: str) -> frozenset[tuple[str, str]]:
    """What each side, place or degree belongs to, where the sentence has two of them."""
    found = list(_SIDES.finditer(text))
    if len({match[1] for match in found}) < 2:
        return frozenset()
    return frozenset((match[1], next(iter(concepts(text[match.end() :])), "")) for match in found)


def _numbers(text: str) -> frozenset[tuple[str, str]]:
    """What each number belongs to, where two could change places: the last concept before it, else the first after."""
    found = list(_NUMBER.finditer(text))
    units = Counter(re.sub(r"^[\s-]*", "", text[match.end() : match.end() + 6])[:3] for match in found)
    doubtful = [m for m in found if units[re.sub(r"^[\s-]*", "", text[m.end() : m.end() + 6])[:3]] > 1]
    bound = set[tuple[str, str]]()
    for match in doubtful:
        before = concepts(re.split(r"[,;]| and ", text[: match.start()])[-1])
        bound.add((match[1], (before or concepts(text[match.end() :]) or [""])[-1 if before else 0]))
    return frozenset(bound)
