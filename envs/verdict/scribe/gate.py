"""The gate: the facts that a reworded sentence must keep. Strict on purpose: a refused rewording costs one fallback,
while a changed fact makes a label wrong."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import cache

from common.records import Record
from envs.verdict.knowledge.tables import WORD, alternatives, stem, table, words
from envs.verdict.scribe.frames import framed
from envs.verdict.scribe.meaning import concepts, is_derived, lost, unified
from envs.verdict.scribe.relations import Difference, Relations, difference, relations

LENGTH_RATIO = (0.5, 2.0)  # words of the rewritten sentence / words of the original
SPARE_WORDS = 4  # which short sentences may differ by in any case
KINDS = ("drug", "organism", "disease", "finding", "procedure", "code")

_META = re.compile(
    r"^\s*(?:here(?:'s| is| are)|sure|certainly|okay|ok[,.: ]|of course|note:|rewritten|reworded|rephrased|revised"
    r"|sentence:|output|answer|original|the (?:reworded|rewritten|rephrased|given|original) sentence|as an ai|i\b"
    r"|[-*•]\s|\d+[.)]\s)",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[<>`*#{}\\]|\[|\]|\"|“|”")
_NUMBER = re.compile(r"(?<![\w.])(\d+(?:,\d{3})*(?:\.\d+)?)[\s/-]*([a-zµμ°]+|%)?")
_AGE = re.compile(
    r"(?<![\w.])(\d{1,3})(?:[\s-]*(year|yr|month|mo|week|wk|day)s?[\s-]*old(?!\w)|\s*(y)/?o(?!\w)|\s*(y)\.o\.)"
)
_AGED = re.compile(r"(?<!\w)aged? (\d{1,3})(?! (?:months?|weeks?|days?))(?: years?)?(?!\w)")
_CODE = re.compile(r"(?=\w*\d)(?=\w*[a-z])[a-z]\w*")  # T3, B19, L5: a letter first, then digits


class Refusal(StrEnum):
    """What is wrong with a rewording. Members of `KINDS` name an entity that it lost."""

    EMPTY = "empty"
    LINES = "lines"
    META = "meta"
    IDENTICAL = "identical"
    LENGTH = "length"
    AGE = "age"
    NUMBER = "number"
    SEX = "sex"
    SIDE = "side"
    DIRECTION = "direction"
    DRUG = "drug"
    ORGANISM = "organism"
    DISEASE = "disease"
    FINDING = "finding"
    PROCEDURE = "procedure"
    CODE = "code"
    ENTITY = "entity"
    NEGATION = "negation"
    NAME = "name"
    DRIFT = "drift"  # a concept that came or went
    ORDER = "order"  # before and after, from and to, more than
    BINDING = "binding"  # a side or a number that belongs to something else


class Facts(Record):
    """What a sentence states, in the terms that the gate compares."""

    numbers: tuple[tuple[str, str], ...]
    ages: tuple[tuple[str, str], ...]
    entities: frozenset[tuple[str, str]]
    sides: tuple[str, ...]
    directions: tuple[str, ...]
    sexes: frozenset[str]
    plain: frozenset[str]
    paired: frozenset[str]  # what the sentence calls `both`, without its plural s
    names: frozenset[str]
    stems: frozenset[str]
    words: frozenset[str]  # the concepts, in which an entity may stand as another part of speech
    relations: Relations


def check(original: str, rewritten: str, patient: str | None = None) -> Refusal | None:
    """The first reason to refuse `rewritten` as another wording of `original`, or None.

    `patient` is the patient's sex, `male` or `female`, where it is known: a rewording may then say `he` or `she`.
    """
    refused = _form(original, rewritten)
    if refused:
        return refused
    before, after = facts(original), facts(rewritten)
    known = frozenset() if patient is None else frozenset({patient})
    return _named(before, after, known) or _said(before, after)


def facts(sentence: str) -> Facts:
    """What `sentence` states, after abbreviations and brand names are written out."""
    text = framed(canonical(sentence))
    plain = unified(text)
    ages, rest = _ages(text)
    language = table("language")
    tokens = WORD.findall(text)
    return Facts(
        numbers=tuple(sorted(_numbers(rest), key=lambda number: number[1])),  # in order of place within a unit
        ages=ages,
        entities=frozenset(_entities(plain)),
        sides=tuple(sorted(language["sides"][t] for t in tokens if t in language["sides"])),
        directions=tuple(sorted(d for t in WORD.findall(plain) if (d := _direction(t)))),
        sexes=frozenset(language["sexes"][t] for t in tokens if t in language["sexes"]),
        plain=frozenset(tokens),
        paired=frozenset(re.findall(r"\bboth (?:his |her |the )?(\w+)s\b", text)),
        names=frozenset(_name_words(sentence)),
        stems=frozenset(stem(word) for word in WORD.findall(canonical(sentence))),
        words=frozenset(concepts(plain)),
        relations=relations(plain),
    )


def canonical(sentence: str) -> str:
    """Lower case, plain dashes, abbreviations and number words written out, brand names as generics."""
    text = re.sub("[‐-―−]", "-", unicodedata.normalize("NFKC", sentence)).replace("’", "'").replace("µ", "μ")
    text = _shorts().sub(lambda m: _long_of()[m[0]], text).lower()
    replacements = _written_out()
    text = re.sub(r"(?<=\d)-yr-old", "-year-old", text)
    return re.sub(r"[a-z]+", lambda m: replacements.get(m[0], m[0]), text)


def entities(text: str) -> frozenset[tuple[str, str]]:
    """The clinical entities that the tables or their word endings know, as (kind, name)."""
    return frozenset(_entities(canonical(text)))


def _form(original: str, rewritten: str) -> Refusal | None:
    if not rewritten.strip():
        return Refusal.EMPTY
    if "\n" in rewritten or "\r" in rewritten:
        return Refusal.LINES
    if _META.search(rewritten) or set(_MARKS.findall(rewritten)) - set(_MARKS.findall(original)):
        return Refusal.META
    if _bare(original) == _bare(rewritten):
        return Refusal.IDENTICAL
    low, high = LENGTH_RATIO
    before, after = len(original.split()), len(rewritten.split())
    fits = abs(after - before) <= SPARE_WORDS or low <= after / max(1, before) <= high
    return None if fits else Refusal.LENGTH


def _named(before: Facts, after: Facts, known: frozenset[str]) -> Refusal | None:
    for reason, kept in (
        (Refusal.AGE, _ages_agree(before, after)),
        (Refusal.NUMBER, before.numbers == after.numbers),
        (Refusal.SEX, before.sexes - known == after.sexes - known),
        (Refusal.SIDE, before.sides == after.sides or _are_both(before, after)),
        (Refusal.DIRECTION, before.directions == after.directions),
    ):
        if not kept:
            return reason
    gone, new = before.entities - after.entities, after.entities - before.entities
    kinds = {kind for kind, name in gone if not any(is_derived(name, word) for word in after.words)}
    for kind in KINDS:
        if kind in kinds:
            return Refusal(kind)
    is_new = any(not any(is_derived(name, word) for word in before.words) for _kind, name in new)
    return Refusal.ENTITY if is_new else None


def _ages_agree(before: Facts, after: Facts) -> bool:
    """`The boy` and `he` may be `the child`; a grown-up may not."""
    if before.ages == after.ages:
        return True
    grown = {"man", "woman", "gentleman", "lady", "adult"} & (before.plain | after.plain)
    return not grown and set(before.ages) ^ set(after.ages) == {("child", "")}


def _are_both(before: Facts, after: Facts) -> bool:
    """`Pupils` may be `both pupils`, where neither sentence speaks of one side."""
    return not {"left", "right", "one"} & {*before.sides, *after.sides} and any(
        f"{word}s" in less.plain
        for more, less in ((before, after), (after, before))
        for word in more.paired
        if not less.sides
    )


def _said(before: Facts, after: Facts) -> Refusal | None:
    """Checks on what no table names: capitalised names, concepts, and the relations between them."""
    if before.names - after.stems:
        return Refusal.NAME
    if after.names - before.stems:
        return Refusal.ENTITY
    changed = difference(before.relations, after.relations)
    if changed is Difference.NEGATION:
        return Refusal.NEGATION
    if lost(before.words, after.words) or lost(after.words, before.words):
        return Refusal.DRIFT
    return None if changed is None else Refusal(changed)


def _bare(text: str) -> str:
    return " ".join(WORD.findall(text)).lower()


def _name_words(sentence: str) -> set[str]:
    """Stems of words written with a capital inside the sentence: proper names, genera, acronyms."""
    inner = [m[0] for m in WORD.finditer(sentence) if m.start() and m[0][0].isupper() and m[0] not in ("I", "A")]
    return {stem(word) for text in inner for word in WORD.findall(canonical(text))}


def _ages(text: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """The ages of a canonical text as (number or word, unit), and the text without them."""
    found = [(m.start(), m[1], {"yr": "year", "y": "year", "mo": "month", "wk": "week"}.get(unit, unit))
             for m in _AGE.finditer(text) for unit in [m[2] or m[3] or m[4]]]  # fmt: skip
    found += [(m.start(), m[1], "year") for m in _AGED.finditer(text)]
    spoken = table("language")["ages"]
    found += [(m.start(), spoken[m[0]], "") for m in WORD.finditer(text) if m[0] in spoken]
    ages = tuple(sorted((number, unit) for _start, number, unit in found))
    return ages, _AGED.sub(" ", _AGE.sub(" ", text))


def _numbers(text: str) -> list[tuple[str, str]]:
    units = table("language")["units"]
    return [(m[1].replace(",", ""), units.get(m[2] or "", "")) for m in _NUMBER.finditer(text)]


def _entities(text: str) -> list[tuple[str, str]]:
    """The clinical entities of a canonical text, as (kind, name)."""
    found = [("organism", m[0]) for m in _organisms().finditer(text)]
    for token in WORD.findall(_organisms().sub(" ", text)):
        for part in {token, *token.split("-")}:
            kind = _kind(part)
            if kind:
                found.append((kind, stem(part)))
    return found


@cache
def _kind(word: str) -> str | None:
    forms = {word, stem(word)}
    known = (
        ("drug", words("drugs", "generics")),
        ("organism", words("organisms", "words")),
        ("disease", words("terms", "diseases")),
        ("finding", words("terms", "findings")),
        ("procedure", words("terms", "procedures")),
    )
    for kind, names in known:
        if forms & names:
            return kind
    for kind, name in (("drug", "drugs"), ("disease", "terms")):
        if len(word) > 6 and stem(word).endswith(tuple(table(name)["suffixes"])):
            return kind
    return "code" if _CODE.fullmatch(word) else None


def _direction(word: str) -> str | None:
    language = table("language")
    found: str | None = language["directions"].get(word) or language["normality"].get(word)
    return found


@cache
def _long_of() -> dict[str, str]:
    return {short: long for long, short in table("language")["abbreviations"].items()}


@cache
def _shorts() -> re.Pattern[str]:
    return alternatives(_long_of(), ignore_case=False)


@cache
def _organisms() -> re.Pattern[str]:
    return alternatives(frozenset(name.lower() for name in table("organisms")["names"]))


@cache
def _written_out() -> dict[str, str]:
    brands: dict[str, str] = {brand.lower(): generic for brand, generic in table("drugs")["brands"].items()}
    return {**brands, **table("language")["number_words"], **table("language")["months"]}
