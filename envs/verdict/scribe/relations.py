"""What the same words say in another order: who, what is denied, what comes first, and what belongs to what.

`Relations` of two wordings of one statement need not be equal: a difference is one that changes the statement.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from common.records import Record
from envs.verdict.knowledge.tables import WORD
from envs.verdict.scribe import order
from envs.verdict.scribe.meaning import SPANS_OF_TIME, concepts, is_derived, lost

_CUE = re.compile(
    r"\b(?:no|not|without|denies|denied|deny|never|neither|nor|none|cannot|no longer able to|lacks?|absence of|"
    r"negative for|\w+n't)\b"
)
_VERBAL = re.compile(
    r"\b(?:(?:is|are|was|were|do|does|did|has|have|had|will|would) (?:not|never|no)|(?:show|reveal|take|contain|find|"
    r"report)s? no|cannot|\w+n't|never)\b"
)
_AFTER_CUE = re.compile(
    r"\b(?:is|are|was|were) (?:absent|denied|exclude|negative|not (?:present|seen|noted|found|heard|felt|palpable|"
    r"detected|identified|observed|observe|appreciated|visible|evident|affected|affect|involved))\b"
)
_VERB = re.compile(r"\b(?:is|are|was|were|has|have|had|does|show)\b")
_SCOPE_END = re.compile(
    r"[.;:]|,(?! (?:or|and|nor)\b)(?![^,.;]*,? (?:or|nor|and) )|\b(?:but|however|although|though|except|yet|is|are|"
    r"was|were|seen|on|at|in|by|during|when|while|because|after|before|since|until|for|to)\b"
)
_CLAUSES = re.compile(r"[.;:,](?!\d)| (?:but|and|or|however|although|though|yet|while|whereas|because|when) ")
_CLAUSE_END = re.compile(r"[.;:,]| (?:but|and|however|although|though|yet|while|whereas) ")
_NUMBER = re.compile(r"(?<![\w.])(\d+(?:[.,/]\d+)*)")
_JOINT = re.compile(r"\b(?:he|she|patient) and (?:his|her) (\w+)")
_ACTS = (
    r"brought|brings|bring|found|finds|called|calls|gave|gives|administer|drove|drives|carried|carries|witnessed|"
    r"witnesses|"
    r"saw|sees|hit|strike|pushed|kicked|visit|accompanied|accompanies|better|killed|die|infected|left|leaves|comes to"
)
_AGENT = re.compile(
    rf"\bby (?:his|her|their|the|a|an) (\w+)|\b(?:his|her|their|the|patient's|a|an) (\w+) (?:has |had )?(?:{_ACTS})\b"
)
_PLAIN = frozenset(
    ("currently", "current", "today", "previou", "previous", "previously", "take", "tak", "us", "use", "history")
)
_KIN = frozenset(
    (
        "mother",
        "father",
        "brother",
        "sister",
        "son",
        "daughter",
        "wife",
        "husband",
        "aunt",
        "uncle",
        "cousin",
        "friend",
        "roommate",
        "neighbor",
        "grandmother",
        "grandfather",
    )
)
_MARKERS = (
    frozenset(("left", "right")),
    frozenset(("upper", "lower")),
    frozenset(("inner", "outer", "medial", "lateral")),
    frozenset(("anterior", "posterior", "dorsal", "ventral")),
    frozenset(("proximal", "distal")),
    frozenset(("mild", "moderate", "severe")),
    frozenset(("elevate", "reduce", "normal", "abnormal")),
    _KIN,
)  # fmt: skip


class Difference(StrEnum):
    """How two sentences of the same concepts differ."""

    NEGATION = "negation"
    ORDER = "order"
    BINDING = "binding"


class Relations(Record):
    """What a sentence says of its concepts."""

    negated: frozenset[str]  # in the reach of a negation
    may_be_negated: frozenset[str]  # and what else stands in the clause, which another wording may negate
    order: tuple[tuple[str, frozenset[str], frozenset[str]], ...]  # (relation, what is first, what is second)
    movements: frozenset[tuple[str, str]]  # (from or to, place)
    marked: dict[str, frozenset[str]]  # what stands beside a side, a degree or a relative, where two of them are named
    numbers: frozenset[tuple[str, str]]  # what a number belongs to, where two could change places
    clauses: tuple[frozenset[str], ...]
    joint: frozenset[str]  # relatives who share the patient's part
    agents: frozenset[str]  # relatives who act


def relations(text: str) -> Relations:
    """The relations of a unified text (see `meaning.unified`)."""
    negated = _negated(text)
    return Relations(
        negated=negated,
        may_be_negated=negated | _clauses(text),
        order=tuple(order.order(text)),
        movements=order.movements(text),
        marked=_marked(text),
        numbers=_numbers(text),
        clauses=tuple(frozenset(concepts(clause)) for clause in _CLAUSES.split(text)),
        joint=frozenset(match[1] for match in _JOINT.finditer(text)),
        agents=frozenset(name for match in _AGENT.finditer(text) for name in match.groups() if name in _KIN),
    )


def difference(one: Relations, other: Relations) -> Difference | None:
    """The first difference that changes the statement, or None."""
    if lost(one.negated, other.may_be_negated) or lost(other.negated, one.may_be_negated):
        return Difference.NEGATION
    if bool(one.may_be_negated) != bool(other.may_be_negated):
        return Difference.NEGATION
    if _cues(one) != _cues(other):
        return Difference.ORDER
    if any(
        _is_crossed((first, second), (third, fourth))
        for name, first, second in one.order
        for same, third, fourth in other.order
        if name == same
    ):
        return Difference.ORDER
    if {kind for kind, _ in one.movements} != {kind for kind, _ in other.movements} or lost(
        [f"{kind} {place}" for kind, place in one.movements], [f"{kind} {place}" for kind, place in other.movements]
    ):
        return Difference.ORDER
    return Difference.BINDING if _is_bound_otherwise(one, other) else None


def _cues(said: Relations) -> Counter[str]:
    """What a wording may not leave out; `because` it may."""
    return Counter(name for name, _, _ in said.order if name != "because")


def _is_bound_otherwise(one: Relations, other: Relations) -> bool:
    if (one.numbers, one.joint, one.agents) != (other.numbers, other.joint, other.agents):
        return True
    if _have_changed_partners(one.clauses, other.clauses):
        return True
    both = [name for name in one.marked if name in other.marked]
    return any(
        _is_crossed((one.marked[a], one.marked[b]), (other.marked[a], other.marked[b]))
        for at, a in enumerate(both)
        for b in both[at + 1 :]
    )


def _is_crossed(one: tuple[frozenset[str], frozenset[str]], other: tuple[frozenset[str], frozenset[str]]) -> bool:
    """Does a concept that belonged to the first alone now belong to the second alone, or the reverse?"""
    return any(
        word == new or is_derived(word, new)
        for here, there in ((0, 1), (1, 0))
        for word in one[here] - one[there]
        for new in other[there] - other[here]
    )


def _have_changed_partners(one: Sequence[frozenset[str]], other: Sequence[frozenset[str]]) -> bool:
    """Did two concepts of one clause and two of another change partners: a with b, c with d; now a with d, c with b?"""
    places = list[tuple[int, int]]()
    for word, at in _alone(one).items():
        now = [there for new, there in _alone(other).items() if word == new or is_derived(word, new)]
        places += [(at, now[0])] if now else []
    moved = Counter(places)
    return any(
        a != c and b != d and (a, d) in moved and (c, b) in moved
        for at, (a, b) in enumerate(moved)
        for c, d in list(moved)[at + 1 :]
    )


def _alone(clauses: Sequence[frozenset[str]]) -> dict[str, int]:
    """The clause of each concept that stands in one clause only."""
    counts = Counter(word for clause in clauses for word in clause)
    return {word: at for at, clause in enumerate(clauses) for word in clause if counts[word] == 1}


def _negated(text: str) -> frozenset[str]:
    """The concepts in the reach of a negation, forward from its cue or back from `is absent`."""
    found = set[str]()
    for cue in _CUE.finditer(text):
        end = _SCOPE_END.search(text, cue.end())
        found |= set(concepts(text[cue.end() : end.start() if end else len(text)]))
    for cue in _AFTER_CUE.finditer(text):
        start = max(text.rfind(mark, 0, cue.start()) for mark in (". ", "; ", " but ")) + 1
        clause, _, last = text[start : cue.start()].rpartition(" and ")
        found |= set(concepts(last if _VERB.search(clause) else f"{clause} {last}"))
    for word in WORD.findall(text):
        if word.startswith("non") and len(word) > 6:
            found |= set(concepts(word.removeprefix("non")))
    return frozenset(found) - SPANS_OF_TIME - _PLAIN


def _clauses(text: str) -> frozenset[str]:
    """The concepts of a clause after its negation, and before it where a verb is negated."""
    found = set[str]()
    for cue in _CUE.finditer(text):
        end = _CLAUSE_END.search(text, cue.end())
        found |= set(concepts(text[cue.end() : end.start() if end else len(text)]))
    for cue in _VERBAL.finditer(text):
        starts = [match.end() for match in _CLAUSE_END.finditer(text, 0, cue.start())]
        found |= set(concepts(text[starts[-1] if starts else 0 : cue.start()]))
    return frozenset(found)


def _marked(text: str) -> dict[str, frozenset[str]]:
    """The concepts of the clauses that a marker stands in, where the sentence names two of a group."""
    named = set(WORD.findall(text.replace("-sided", "")))
    markers = {marker for group in _MARKERS if len(group & named) > 1 for marker in group & named}
    found = {marker: set[str]() for marker in markers}
    for clause in re.split(r"[.;:,]| (?:but|and|or|however|although|though|yet|while|whereas|than) ", text):
        for marker in markers & set(WORD.findall(clause.replace("-sided", ""))):
            found[marker] |= set(concepts(clause)) - markers
    return {marker: frozenset(said) for marker, said in found.items()}


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
