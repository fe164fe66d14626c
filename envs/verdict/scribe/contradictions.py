"""Errors that a table and the note's own statements prove: a diagnosis that its number excludes, a drug that the label
forbids here, an act that this patient cannot need.

A place is a whole diagnosis, drug or act that a decision sentence names in a plain frame ("is diagnosed with ...",
"... is prescribed"), so that one noun phrase takes the place of another.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache

from common.records import Record
from envs.knowledge.rows import contradictions
from envs.verdict.scribe.edits import Edit
from envs.verdict.scribe.gate import entities
from envs.verdict.scribe.phrases import Injection, holds, present
from envs.verdict.scribe.reading import read

OPERATOR = "inject:A:stated"
TYPES = {
    "diagnosis": ("diagnosis",),
    "drug": ("pharmacotherapy", "treatment", "management"),
    "act": ("management", "treatment"),
}
"""The types that an error of a kind may have: the one that the annotators gave this decision, else the first."""

_END = (
    r"(?=[.;,]?$|[.;,] | (?:after|based|for|to|because|as|given|following|in order|when|while|due to|by|comes|"
    r"presents|is brought|is taken|who|and (?:is|was|he|she|the)|on the|at the|in the)\b| (?:treatment|therapy)\.?$)"
)
_SPAN = r"(?P<span>(?:an? |the )?[A-Za-z][\w'/β-]*(?: [\w'/β-]+){0,6}?(?: \([A-Z]{2,6}\))?)"
_LEAD = r"(?:^|(?<=[.”\"] ))(?:[A-Z][^,.]{3,60}, )?"
_BE = r" (?P<be>is|was|are|were|will be|should be|may be) (?:then |subsequently |immediately |now )?"
_GIVES = r"prescribed|started|given|administered|initiated|begun|provided"
_DOES = r"performed|ordered|scheduled|obtained|conducted|done|completed|arranged|considered|tested"
_EITHER = r"recommended|indicated|required|needed|necessary|offered|advised"
_FRAMES = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (
            "diagnosis",
            r"\b(?:[Dd]iagnosed with|diagnoses|[Ss]uspected of(?: having)?|suspicion (?:of|for)|"
            r"[Dd]iagnosis (?:is|was|of)|"
            r"[Cc]oncerning for|[Ss]uspicious for|[Cc]onsistent with|determined to have|suspected to have|"
            r"believed to have|attributed to|"
            r"characteristic of|suggestive of|suspects|with suspected|for suspected|"
            r"told that (?:he|she) has|establishes|treated for|"
            rf"treatment of|cause of (?:his|her|the) \w+ is|indicates?|indicating|"
            rf"confirms?|concern for|[Mm]ay represent|^Suspect|suffering from) {_SPAN}{_END}",
        ),
        (
            "diagnosis",
            rf"\b(?:symptoms|condition|findings|presentation) (?:are|is|were|was) "
            rf"(?:due to|the result of|caused by) {_SPAN}{_END}",
        ),
        ("has", rf"^(?:The p|P)atient (?:has|sustained) {_SPAN}\.$"),
        ("diagnosis", rf"\b(?:likely|reveals? that|shows? that) (?:the )?patient has {_SPAN}{_END}"),
        ("diagnosis", rf"^(?:Suspected |Because )?{_SPAN}{_BE}(?:suspected|diagnosed|confirmed)\b"),
        (
            "drug",
            r"\b(?:prescribed|prescribes|prescription for|[Ss]tarted on|given|gives|[Aa]dministered|administers|"
            r"[Tt]reated with|[Tt]reatment with|therapy with|placed on|received|receives|switched to|"
            rf"drug administered is|begins|starts|medication with|switched from \w+ to) "
            rf"(?:an? (?:[\w-]+ )?course of )?{_SPAN}{_END}",
        ),
        ("drug", rf"{_LEAD}{_SPAN}{_BE}(?:{_GIVES}|{_EITHER})\b"),
        ("drug", rf"\b(?:Treatment|Therapy|treatment|therapy) with {_SPAN}{_BE}(?:{_GIVES}|{_EITHER})\b"),
        ("drug", rf"^{_SPAN}(?= (?:{_GIVES})\.$)"),
        (
            "act",
            r"\b(?:[Rr]eferred for|[Ss]cheduled for|underwent|undergoes|[Oo]rdered|orders|performs|requests|arranges|"
            r"[Rr]ecommended|recommends|decides on|proceeds to|admitted for|needs|[Pp]lan for|[Pp]lan to schedule|"
            r"getting|to get|agrees to|offered|advised|undergo|next step(?: in management)? is|"
            rf"plan of care is|chosen for (?:him|her) is|treats (?:him|her) with) {_SPAN}{_END}",
        ),
        ("act", rf"{_LEAD}{_SPAN}{_BE}(?:{_DOES}|{_EITHER})\b(?! as\b)"),
        ("act", rf"^{_SPAN}(?= (?:ordered|performed|scheduled|completed)\.$)"),
        ("act", rf"^(?:Plan|Scheduling|Proceed with) {_SPAN}{_END}"),
    )
)
_NO_NAME = re.compile(
    r"\b(?:patients?|he|she|his|her|him|this|that|it|they|them|who|which|following|below|not|no|more|same|other|there|"
    r"medications?|appropriate|further|initial|next|is|was|are|were|be|been|has|had|having|all|both|so|treatments?|"
    r"therapy with|treatment with|findings?|symptoms?|condition|(?<!-)(?<!high )(?<!low )dose|doses|dosage|"
    r"diagnos[ei]s|drug|drugs|prescription|implants?|after|gestation|management with|scheduled|"
    r"prescribed|started|given|performed|ordered|administered|admitted|based|sites|results?|studies|course|caused|"
    r"improves|toys?)\b|^\w+ly$|"
    r"\band \w+ly\b|^(?:to|by|with|for|on|in|of|"
    r"after|if|when|at|as|and|or|from|continue|stop|avoid|because|despite|several|one|two|three|a \d)\b",
    re.I,
)


_ACT = re.compile(
    r"(?:scopy|graphy|tomy|centesis|plasty|serology|metry|gram|scan|tests?|testing|biopsy|imaging|panel|resection|"
    r"excision|"
    r"drainage|removal|repair|surgery|levels?)(?:$| )|\b(?:CT|MRI|EKG|ECG|EEG)\b",
    re.I,
)


_BEGINS = re.compile(r"(?:begins|starts) ")  # `begins answering questions`
_INHALED = re.compile(r"\boxygen\b", re.I)  # a procedure to the tables, given as a drug


class Place(Record):
    """A span of a sentence that names something of `kind`, with its article."""

    sentence: int
    start: int
    old: str
    kind: str
    opens: bool  # begins a sentence


def contradicted(sentences: Sequence[str], types: Mapping[int, str]) -> list[Injection]:
    """Every such error of the note. `types` are the annotators' types of decisions, by number of sentence."""
    spots = list(places(sentences, types))
    if not spots:
        return []
    reading, note = read(sentences), " ".join(sentences).lower()
    wrong = defaultdict[str, dict[str, bool]](dict)  # kind -> what to say, and whether it is likely
    for row in contradictions():
        if all(map(reading.holds, row.wrong)) and not _said(note, row.say):
            wrong[row.kind].setdefault(row.say, any(cue in note for cue in row.likely))
    return [
        Injection(
            edit=_put(spot, say),
            error_type=_type(spot, types.get(spot.sentence)),
            tier="A",
            likely=likely,
        )
        for spot in spots
        for say, likely in wrong[spot.kind].items()
    ]


def places(sentences: Sequence[str], annotated: Collection[int] = ()) -> Iterable[Place]:
    """Where sentences that are no history name a diagnosis, a drug or an act.

    `The patient has ...` may be history too, so it is a place in `annotated` decisions alone.
    """
    seen = set[tuple[int, int]]()
    for number in present(sentences):
        for kind, frame in _FRAMES:
            for match in frame.finditer(sentences[number]):
                if kind == "has" and number not in annotated:
                    continue
                found = _place(number, "diagnosis" if kind == "has" else kind, match)
                if found is not None and (number, found.start) not in seen:
                    seen.add((number, found.start))
                    yield found


def _place(number: int, kind: str, match: re.Match[str]) -> Place | None:
    be, old = match.groupdict().get("be") or "", match["span"]
    if _NO_NAME.search(old) or (_BEGINS.match(match[0]) and old.split()[0].endswith("ing")):
        return None
    known = {found for found, _name in entities(old)}
    is_infection = kind == "diagnosis" and old.endswith("infection")
    if ("organism" in known and not is_infection) or (kind == "diagnosis" and known & {"drug", "procedure"}):
        return None
    if kind == "drug" and "procedure" in known - {"drug"} and not _INHALED.search(old):
        kind = "act" if re.search(_EITHER, match[0]) else ""
    elif kind == "act" and "drug" in known:
        kind = "drug" if re.search(_EITHER, match[0]) else ""
    if not kind or (kind != "diagnosis" and known == {"disease"} and not (kind == "act" and _ACT.search(old))):
        return None
    end = match.end("be") if be in ("are", "were") else match.end("span")
    start = match.start("span")
    opens = not start or match.string[:start].rstrip().endswith((".", "”", '"'))
    return Place(sentence=number, start=start, old=match.string[start:end], kind=kind, opens=opens)


def _type(spot: Place, annotated: str | None) -> str:
    return annotated if annotated in TYPES[spot.kind] else TYPES[spot.kind][0]


def _put(spot: Place, say: str) -> Edit:
    """One noun phrase for another; what it takes the place of may have been several, and its verb with them."""
    verb = {"are": " is", "were": " was"}.get(spot.old.split()[-1], "")
    new = (say[0].upper() + say[1:] if spot.opens else say) + verb
    return Edit(operator=OPERATOR, sentence=spot.sentence, start=spot.start, old=spot.old, new=new)


@cache
def _bare(say: str) -> str:
    return re.sub(r"^(?:an?|the) ", "", say).lower()


def _said(note: str, say: str) -> bool:
    """Does the note name it already, or its last word where that is a rare one?"""
    last = _bare(say).split()[-1]
    return holds(note, _bare(say)) or (len(last) > 8 and last in note)
