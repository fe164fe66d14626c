"""The order in which a note is told: its decision may come before findings that stand alone, as in MEDEC's own notes,
and neighbours of the history may change places.

No sentence changes. A sentence moves only where nothing refers back across the move: the one that moves and the one
that then follows it begin without a reference, and they share no word of meaning with what they pass.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import lru_cache

from envs.verdict.knowledge.tables import content_words, words

OPERATOR = "move"
_STANDS = re.compile(
    r"^(?:(?:Her|His|The patient's|Vital) (?:vital |blood |heart |pulse|temperature|respirat|body|BMI|signs|oxygen)|"
    r"(?:Physical|Laboratory|Serum|Urin\w+|Mental status|Neurologic\w*|Cardi\w+|Pulmonary|Lung|Abdominal|Pelvic|Rectal|"
    r"Skin|Oral|Ophthalm\w+|Fundoscop\w+|Otoscop\w+|Genital|Speculum|Chest|Complete blood|Arterial blood|Examination|"
    r"On (?:physical )?exam\w*|Exam|Auscultation|Palpation|Percussion|Ultraso\w+|Transvaginal|Vital signs|Blood|"
    r"Fasting|Microscop\w+|Spirometry|X-rays?|MRI|CT|ECG|EKG|Echocardiogra\w+|Electrocardiogra\w+|Bone|Genetic|Sensation|"
    r"Muscle|Deep tendon|Motor|Pedal|Peripheral|Femoral|Laborator\w+|Lab|Toxicology|Hemoglobin|Range of motion)\b|"
    r"An? (?:x-ray|CT|MRI|ECG|EKG|chest|urin\w+|complete|pelvic|blood|computed|magnetic|contrast|non|transvaginal|"
    r"bone|electro\w+|echo\w+|12-lead|KUB|radiograph|ultraso\w+)\b|"
    r"The (?:remainder|rest) of (?:the|his|her)|There (?:is|are)\b|"
    r"(?!(?:He|She|His|Her|We|You|If|As|In|At|By|On|To|With|Because|Since|After|Before|During|While|When|The patient|"
    r"The (?:physician|team|doctor|nurse|surgeon|family|boy|girl|man|woman|child|infant|newborn))\b)"
    r"[A-Z]\S*(?: \S+){0,8}? (?:shows?|showed|reveals?|revealed|demonstrates?|is|are|was|were)\b)"
)
_EVENT = re.compile(
    r"\b(?:minutes|hours|days|weeks) later\b|\bsubsequent|\bthen\b|\bwhile\b|\bafter\b|\b(?:called|admitted|"
    r"transferred|discharged|taken|brought|sent|removed|intubated|irrigated|cleansed|applied|resuscitated|begins|began|"
    r"consult\w*|decid\w+|ask\w*|explain\w*|agree\w*|refus\w+|offer\w*|plan\w*|made|sutured|drained|transfused|"
    r"afterwards?|continued|stopped|discontinued|chosen|chooses|believ\w+|think\w*|worked up|managed|repaired|"
    r"withdrawn)\b",
    re.I,
)
_SOCIAL = re.compile(
    r"^(?:He|She|The patient) (?:does not (?:smoke|drink|use)|has never|drinks|smokes|has smoked|works as|lives|"
    r"takes no|has no (?:history|known)|is sexually|is not sexually|has no siblings|denies|has a history of)|"
    r"^(?:His|Her|The patient's) (?:family history|past medical history|medical history|immunizations)|"
    r"^(?:Family history|Past medical history|Vaccinations|Immunizations)\b"
)
_REFERS = re.compile(
    r"\b(?:this|that|these|those|such|it|its|they|them|their|above|below|former|latter|another|other|others|again|also|"
    r"both|results?|findings?|then|later|now|subsequent\w*|however|therefore|thus|further|follow\w*|same|still|after|"
    r"afterwards|before|since|until|while|when|during|once|despite|repeat\w*|improv\w*|worsen\w*|resol\w+|shown|minutes|"
    r"hours|days|weeks|next|meanwhile|additional\w*|figure|image|photograph)\b",
    re.I,
)
_LEADS_ON = re.compile(
    r"\b(?:below|following|shown|seen|ordered|obtained|inserted|performed|placed|conducted|drawn|taken|done|sent|"
    r"underwent|undergoes|removed)\b",
    re.I,
)
_BEGINS_WITH_REFERENCE = re.compile(
    r"^(?:It|Its|This|These|Those|They|Their|Such|Both|Another|Other|However|Then|That|Some|One|Each|All|None|"
    r"In addition|The (?:lesions?|mass|rash|pain|symptoms?|results?|findings?|mother|father|child|episodes?|"
    r"fluid|swelling|wound|lumps?|nodules?|murmur|patches|plaques|organism|sample|specimen|culture))\b"
)


def told(sentences: Sequence[str], focus: int | None, free: Sequence[int], rng: random.Random) -> tuple[int, ...]:
    """The numbers of the sentences in the order in which they are told; in their own order where nothing moves.

    The decision `focus`, where it ends the note, goes before findings; neighbours among the `free` sentences of the
    history change places.
    """
    order = list(range(len(sentences)))
    place, swapped = rng.random(), rng.random()  # drawn whether needed or not, so that twins draw alike
    pairs = [at for at in range(1, len(order) - 1) if at in free and at + 1 in free and _may_swap(sentences, at)]
    if pairs:
        at = pairs[int(swapped * len(pairs))]
        order[at], order[at + 1] = order[at + 1], order[at]
    if focus == len(order) - 1:
        starts = _earlier(tuple(sentences))
        if starts:
            order.insert(starts[int(place * len(starts))], order.pop())
    return tuple(order)


@lru_cache(maxsize=4096)
def _earlier(sentences: tuple[str, ...]) -> list[int]:
    """The places to which the last sentence may go: before findings that stand alone, and are not led up to."""
    last, starts = sentences[-1], list[int]()
    if _REFERS.search(last):
        return []
    meant = content_words(last)
    for at in range(len(sentences) - 2, 0, -1):
        said = sentences[at]
        if not _is_finding(said) or content_words(said) & meant:
            break
        leads_on = _LEADS_ON.search(sentences[at - 1])
        if _STANDS.match(said) and not _BEGINS_WITH_REFERENCE.match(said) and not leads_on:
            starts.append(at)
    return starts


def _is_finding(said: str) -> bool:
    """Is it a finding, and nothing that was done or that happened?"""
    stated = _STANDS.match(said) or _BEGINS_WITH_REFERENCE.match(said) or re.match(r"^(?:He|She|The patient) ", said)
    return bool(stated) and not _happened(said)


def _happened(said: str) -> bool:
    cues = words("language", "decision_cues") & set(re.findall(r"[a-z]+", said.lower()))
    return bool(cues or _EVENT.search(said))


def _may_swap(sentences: Sequence[str], at: int) -> bool:
    one, two = sentences[at], sentences[at + 1]
    after = sentences[at + 2] if at + 2 < len(sentences) else ""
    return (
        bool(_SOCIAL.match(one) and _SOCIAL.match(two))
        and not (_REFERS.search(one) or _REFERS.search(two) or _BEGINS_WITH_REFERENCE.match(after))
        and not (content_words(one) & content_words(two) or _happened(one) or _happened(two))
    )
