"""Errors to inject: tier A is wrong by the note itself, tier B is what a human once wrote wrong in another note.

Both change one span of one decision sentence. Tier A rules: a drug of a class to which the note states an allergy, an
organism other than the one that a culture grew, the other side of the body, a dose above the label's largest, and in
a sentence on a therapy at hand, the look-alike of its drug.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache

from common.records import Record
from envs.verdict.data.medec import Note
from envs.verdict.knowledge.tables import WORD, alternatives, content_words, stem, table, words
from envs.verdict.scribe.doses import overdoses
from envs.verdict.scribe.edits import Edit
from envs.verdict.scribe.gate import entities

LONGEST = 6  # words of a mined phrase
TYPE_WEIGHTS = {
    "management": 0.48,
    "diagnosis": 0.27,
    "pharmacotherapy": 0.10,
    "treatment": 0.10,
    "causalOrganism": 0.05,
}
_CULTURE = re.compile(r"\bcultures?\b.*\b(?:grew|grows?|growing|shows?|yields?|positive|indicates?|reveals?)\b", re.I)
_ALLERGY = re.compile(
    r"(?:allergic (?:reaction )?to|allergy to|allergies to) (?P<after>[\w-]+)|(?P<before>[\w-]+) allergy", re.I
)
_GIVEN = re.compile(
    r"\b(?:prescribed|started on|given|administered|treated with|treatment with|therapy with) "
    r"(?:(?:a|an|oral|intravenous|IV|\d+-day|course of|high-dose|low-dose) )*(?P<active>[\w-]+)"
    r"|\b(?P<passive>[\w-]+)(?= (?:therapy )?(?:is|was) (?:then |subsequently )?"
    r"(?:prescribed|started|given|administered|initiated|begun|recommended)\b)",
    re.I,
)
_SIDE = re.compile(r"\b(left|right)(?=[ -]([a-z]{3,}))", re.I)
_AT_HAND = re.compile(
    r"\b(?:continu\w+|discontinu\w+|stopp\w+|held|withheld|increas\w+|decreas\w+|reduc\w+|switched from)\b", re.I
)
_ARTICLE = re.compile(r"^(?:an?|the) ", re.I)
_VOWEL = re.compile(r"(?:[aeiou](?!ni|se|ro)|(?:MRI|ECG|EEG|EMG|NS|SS|X-ray|x-ray)\b)")
_PROCEDURE = re.compile(r"\b(?:surgery|repair|biopsy|scheduled|performed|placed|ordered|underwent|recommended)\b", re.I)


class Phrase(Record):
    """A mined pair: where `right` was right, a human wrote `wrong` in a note of `vignette`."""

    right: str
    wrong: str
    error_type: str
    vignette: str


class Injection(Record):
    """An error that can be put into a note: the edit that does it, its type, and the tier of the rule behind it.

    `likely` tells whether a reader without medicine might believe it in this note.
    """

    edit: Edit
    error_type: str
    tier: str
    likely: bool = True

    @property
    def phrase(self) -> str:
        """What it says, whatever the case."""
        return self.edit.new.lower()


class PhraseBook:
    """Wrong/right phrase pairs, mined from error notes and found again in clean ones."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        self._wrongs: dict[str, list[Phrase]] = defaultdict(list)
        for phrase in dict.fromkeys(phrases):
            self._wrongs[phrase.right.lower()].append(phrase)

    def __len__(self) -> int:
        return sum(map(len, self._wrongs.values()))

    def injections(self, sentences: Sequence[str], vignette: str) -> list[Injection]:
        """Every tier B injection that the note allows, in order of sentence and place.

        None comes from another note of `vignette`, the one that the note is of.
        """
        note = " ".join(sentences).lower()
        return [
            Injection(edit=edit, error_type=phrase.error_type, tier="B")
            for number in decisions(sentences)
            for start, right, phrase in self._places(sentences[number])
            if phrase.vignette != vignette and not holds(note, phrase.wrong.lower())
            for edit in [swap(sentences[number], number, start, right, phrase.wrong, "inject:B")]
        ]

    def _places(self, sentence: str) -> Iterable[tuple[int, str, Phrase]]:
        tokens = list(WORD.finditer(sentence))
        for first, token in enumerate(tokens):
            for last in tokens[first : first + LONGEST]:
                span = sentence[token.start() : last.end()]
                for phrase in self._wrongs.get(span.lower(), ()):
                    yield token.start(), span, phrase


def mine(notes: Iterable[Note]) -> PhraseBook:
    """The book of all error notes in `notes`; the caller keeps held-out notes away."""
    held = list(notes)
    lower = frozenset(word for note in held for word in WORD.findall(note.text) if word.islower())
    return PhraseBook(phrase for note in held for phrase in [_mined(note, lower)] if phrase is not None)


def decisions(sentences: Sequence[str]) -> list[int]:
    """Numbers of the sentences that state a decision about this visit: a cue word, and no word of history."""
    cues = words("language", "decision_cues")
    return [number for number in present(sentences) if cues & set(WORD.findall(sentences[number].lower()))]


def present(sentences: Sequence[str]) -> list[int]:
    """Numbers of the sentences without a word of history."""
    return [number for number, sentence in enumerate(sentences) if not _history().search(sentence)]


@cache
def _history() -> re.Pattern[str]:
    """Whole words: `ago` is no part of glucagon."""
    return alternatives(frozenset(cue.strip() for cue in table("language")["history_cues"]))


def provable(sentences: Sequence[str]) -> list[Injection]:
    """Every tier A injection that the note allows."""
    return [rule for rules in (_allergies, _cultures, _sides, _doses, _look_alikes) for rule in rules(sentences)]


def pick(injections: Sequence[Injection], rng: random.Random) -> Injection | None:
    """One of them, its type drawn by the weights of MEDEC's training split among the types on offer; None of none."""
    kinds = sorted({injection.error_type for injection in injections})
    if not kinds:
        return None
    kind = pick_type(kinds, rng)
    among = [injection for injection in injections if injection.error_type == kind]
    rule = rng.choice(sorted({injection.edit.operator for injection in among}))  # so that long tables drown no rule
    return rng.choice([injection for injection in among if injection.edit.operator == rule])


def pick_type(kinds: Sequence[str], rng: random.Random) -> str:
    """One of `kinds` by the weights of MEDEC's training split."""
    return rng.choices(kinds, [TYPE_WEIGHTS[kind] for kind in kinds])[0]


def _mined(note: Note, lower: frozenset[str]) -> Phrase | None:
    """The one span in which the error sentence and its correction differ, if both sides of it mean something."""
    if note.error_type is None or note.error_sentence is None or note.corrected_sentence is None:
        return None
    wrong, right = note.sentences[note.error_sentence].split(), note.corrected_sentence.split()
    same = 0
    while same < min(len(wrong), len(right)) and wrong[same] == right[same]:
        same += 1
    tail = 0
    while tail < min(len(wrong), len(right)) - same and wrong[-1 - tail] == right[-1 - tail]:
        tail += 1
    spans = [" ".join(side[same : len(side) - tail]).strip(" .,;:()") for side in (wrong, right)]
    if any(not _means(span) or len(span.split()) > LONGEST or "." in span for span in spans):
        return None
    if spans[0] in spans[1] or spans[1] in spans[0]:
        return None
    if not _ARTICLE.match(spans[1]):  # `acute appendicitis` must not become `acute a urinary tract infection`
        spans[0] = _ARTICLE.sub("", spans[0])
    if same == 0:  # the capital belongs to the sentence, unless the word is never written without it
        spans = [span[0].lower() + span[1:] if span.split()[0].lower() in lower else span for span in spans]
    return Phrase(right=spans[1], wrong=spans[0], error_type=note.error_type, vignette=note.vignette)


def _means(phrase: str) -> bool:
    """Does the phrase name something? One word must be a known entity: `acute` or `glucose` alone fit anywhere."""
    if len(phrase.split()) == 1:
        return bool(entities(phrase))
    return bool(content_words(phrase) - {stem(word) for word in words("language", "directions")})


def _allergies(sentences: Sequence[str]) -> Iterable[Injection]:
    drugs = table("drugs")
    for said in sentences:
        for match in _ALLERGY.finditer(said):
            name = (match["after"] or match["before"]).lower()
            kind = drugs["class_names"].get(name)
            if kind is None or re.search(r"\bno\b|\bnot\b|\bdenies\b", said, re.I):
                continue
            for number, start, given in _drugs_given(sentences):
                family = next((f for f in drugs["families"] if given.lower() in f), None)
                if family is None or given.lower() in drugs["classes"][kind]:
                    continue
                for new in drugs["classes"][kind]:
                    edit = swap(sentences[number], number, start, given, new, "inject:A:allergy")
                    yield Injection(edit=edit, error_type="pharmacotherapy", tier="A")


def _drugs_given(sentences: Sequence[str]) -> Iterable[tuple[int, int, str]]:
    """(sentence, start, name) of the drugs that a decision sentence gives."""
    for number in decisions(sentences):
        for match in _GIVEN.finditer(sentences[number]):
            name = match["active"] or match["passive"]
            if name.lower() in words("drugs", "generics"):
                yield number, match.start("active" if match["active"] else "passive"), name


def _cultures(sentences: Sequence[str]) -> Iterable[Injection]:
    """The organism of a culture, named again in another decision sentence: there another organism is wrong."""
    known = table("organisms")
    found = alternatives(frozenset(known["names"]))
    for source, said in enumerate(sentences):
        for grown in found.findall(said) if _CULTURE.search(said) else ():
            for number in decisions(sentences):
                for match in found.finditer(sentences[number]) if number != source else ():
                    if match[0].lower() != grown.lower():
                        continue
                    rivals = [g for g in known["groups"].values() if grown.lower() in map(str.lower, g)]
                    for new in sorted({name for group in rivals for name in group} - {match[0]}):
                        edit = swap(sentences[number], number, match.start(), match[0], new, "inject:A:culture")
                        yield Injection(edit=edit, error_type="causalOrganism", tier="A")


def _sides(sentences: Sequence[str]) -> Iterable[Injection]:
    """A decision about the left something, after the left one was spoken of, in a note that never says right."""
    for number in decisions(sentences):
        before = " ".join(sentences[:number]).lower()
        rest = " ".join([before, *sentences[number + 1 :]]).lower()
        for match in _SIDE.finditer(sentences[number]):
            side, part = match[1].lower(), match[2].lower()
            other = "left" if side == "right" else "right"
            if not re.search(rf"\b{side}[ -]{part}", before) or re.search(rf"\b(?:{other}|bilateral|both)\b", rest):
                continue
            kind = "management" if _PROCEDURE.search(sentences[number]) else "diagnosis"
            edit = swap(sentences[number], number, match.start(), match[0], other, "inject:A:side")
            yield Injection(edit=edit, error_type=kind, tier="A")


def _doses(sentences: Sequence[str]) -> Iterable[Injection]:
    """A dose above the largest daily one of the label."""
    for edit in overdoses(sentences):
        yield Injection(edit=edit, error_type="pharmacotherapy", tier="A")


def _look_alikes(sentences: Sequence[str]) -> Iterable[Injection]:
    """A drug that the note named before is continued, changed or stopped: so cannot be one that it never names."""
    others: dict[str, set[str]] = defaultdict(set)
    for one, two in table("drugs")["look_alikes"]:
        others[one].add(two)
        others[two].add(one)
    note = " ".join(sentences).lower()
    for number in decisions(sentences):
        before = frozenset(WORD.findall(" ".join(sentences[:number]).lower()))
        for match in WORD.finditer(sentences[number]) if _AT_HAND.search(sentences[number]) else ():
            for new in sorted(others.get(match[0].lower(), ())) if match[0].lower() in before else ():
                if not holds(note, new):
                    edit = swap(sentences[number], number, match.start(), match[0], new, "inject:A:look_alike")
                    yield Injection(edit=edit, error_type="pharmacotherapy", tier="A")


def swap(sentence: str, number: int, start: int, old: str, new: str, operator: str) -> Edit:
    """`new` for `old` in the grammar of the place: its capital, and `a` or `an` before it."""
    if old[0].isupper() and (start == 0 or not any(map(str.isupper, new))):
        new = new[0].upper() + new[1:]
    article = re.search(r"\b([Aa])(n?) $", sentence[:start])
    if article and bool(_VOWEL.match(old)) != bool(_VOWEL.match(new)):
        start -= len(article[0])
        old, new = article[0] + old, f"{article[1]}{'n' if _VOWEL.match(new) else ''} {new}"
    return Edit(operator=operator, sentence=number, start=start, old=old, new=new)


def holds(note: str, phrase: str) -> bool:
    """Whether `note` contains `phrase` as whole words."""
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", note) is not None
