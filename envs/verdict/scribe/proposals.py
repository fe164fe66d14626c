"""Errors of tier C: proposed by the Scribe's model as one JSON object, applied by code, kept only if a frozen verifier
prefers the sentence as it was, by the margin of its exam. What code can refuse is refused before it is asked."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

import msgspec

from common.records import Authored, Record
from envs.contract.env import Complete
from envs.verdict import prompts
from envs.verdict.data.medec import Note
from envs.verdict.scribe import edits, gate, noise
from envs.verdict.scribe.artefacts import artefact
from envs.verdict.scribe.injector import is_new
from envs.verdict.scribe.phrases import LONGEST, Injection, holds, swap
from envs.verdict.scribe.verifier import margin

OPERATOR = "inject:C"
TOKENS = 96  # of a proposal: two phrases of six words and the keys take about 60
_SPAN = re.compile(r"\w(?:.*\w)?")
_MARKS = re.compile(r"[<>{}\[\]`\"\\*#|]|[.;:!?](?=\s)")  # tags, markup, and the end of a sentence


class Offer(Record):
    """What a proposal may change: a clean note, the sentences of it that are open, and the type that is asked for.

    `errors` are the error notes of its vignette: what humans wrote there is no news.
    """

    sentences: tuple[str, ...]
    among: tuple[int, ...]
    kind: str
    errors: tuple[Note, ...] = ()
    margin: float = 0.0
    """Least preference of the verifier for the sentence as it was, nats."""


class Proposal(Record, forbid_unknown_fields=True):
    """What the model must write: `new` for `old` in sentence number `sentence`, an error of type `type`."""

    sentence: int
    old: str
    new: str
    type: str


class Refusal(StrEnum):
    """Why a try is refused."""

    TRUNCATED = "truncated"
    JSON = "json"  # not one object of the four fields
    TYPE = "type"  # not the one that was asked for
    SENTENCE = "sentence"  # not one of those offered
    SPAN = "span"  # `old` or `new` is not 1 to 6 words of one line without marks
    PLACE = "place"  # `old` does not occur exactly once in the sentence
    FORM = "form"  # `old` and `new` say the same
    KNOWN = "known"  # the note says `new` already, or a human's error in its vignette does
    ARTEFACT = "artefact"  # a reader without medicine sees it
    VERIFIER = "verifier"  # the verifier does not prefer the original sentence


class Proposed(Record):
    """Result of the tries: an injection if one was accepted, `inject:C:WHY` for each refused try, and who wrote it.

    `authored` are all tries, where the Scribe is trained.
    """

    injection: Injection | None
    reasons: tuple[str, ...] = ()
    policy_version: int | None = None
    authored: tuple[Authored, ...] = ()


async def propose(offer: Offer, tries: int, complete: Complete, verify: Complete) -> Proposed:
    """Ask for an error as `offer` says, up to `tries` times."""
    reasons, authored, sentences = list[str](), list[Authored](), offer.sentences
    for _ in range(tries):
        written = await complete(prompts.scribe_propose_messages(sentences, offer.among, offer.kind), TOKENS)
        found = Refusal.TRUNCATED if written.truncated else read(written.text, offer)
        if isinstance(found, Injection):
            at, changed = found.edit.sentence, edits.apply(sentences, found.edit)[found.edit.sentence]
            preference = await margin(sentences, at, sentences[at], changed, verify)
            if preference is not None and preference >= offer.margin:
                authored += written.authored()
                return Proposed(
                    injection=found,
                    reasons=tuple(reasons),
                    policy_version=written.policy_version,
                    authored=tuple(authored),
                )
            found = Refusal.VERIFIER
        reasons.append(f"{OPERATOR}:{found}")
        authored += written.authored(refused=found)
    return Proposed(injection=None, reasons=tuple(reasons), authored=tuple(authored))


def read(text: str, offer: Offer) -> Injection | Refusal:
    """The injection that `text` proposes, or the reason to refuse it."""
    try:
        proposal = msgspec.json.decode(text, type=Proposal)
    except msgspec.DecodeError:  # ValidationError is one
        return Refusal.JSON
    if proposal.type != offer.kind:
        return Refusal.TYPE
    if proposal.sentence not in offer.among:
        return Refusal.SENTENCE
    if not (_is_span(proposal.old) and _is_span(proposal.new)):
        return Refusal.SPAN
    sentences, sentence = offer.sentences, offer.sentences[proposal.sentence]
    if sentence.count(proposal.old) != 1 or not holds(sentence, proposal.old):
        return Refusal.PLACE
    start = sentence.index(proposal.old)
    edit = swap(sentence, proposal.sentence, start, proposal.old, proposal.new, OPERATOR)
    if _same(proposal.old, proposal.new) or _same(sentence, edits.apply(sentences, edit)[proposal.sentence]):
        return Refusal.FORM
    if holds(" ".join(sentences).lower(), proposal.new.lower()) or not is_new(edit, sentences, offer.errors):
        return Refusal.KNOWN
    if artefact(sentence, edits.apply(sentences, edit)[proposal.sentence], edit) is not None:
        return Refusal.ARTEFACT
    return Injection(edit=edit, error_type=proposal.type, tier="C")


def _is_span(text: str) -> bool:
    plain = unicodedata.normalize("NFKC", text)
    return (
        1 <= len(text.split()) <= LONGEST
        and text.isprintable()
        and _SPAN.fullmatch(text) is not None
        and _MARKS.search(plain) is None
    )


def _same(one: str, other: str) -> bool:
    """Do two texts differ by form only: case, spelling, or what the cosmetic operators may write?"""
    if sorted(one.casefold()) == sorted(other.casefold()):  # letters that changed places
        return True
    return not _forms(one).isdisjoint(_forms(other))


def _forms(text: str) -> set[str]:
    """The canonical forms of a text and of its cosmetic edits."""
    spans = [span for kind in noise.KINDS.values() for span in kind(text)]
    versions = {text, *(text[:start] + new + text[start + len(old) :] for start, old, new in spans)}
    return {" ".join(gate.canonical(version).split()) for version in versions}
