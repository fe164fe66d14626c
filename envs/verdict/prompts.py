"""Prompts of both personas: short and plain, because the smallest policy has 135M parameters."""

from __future__ import annotations

from collections.abc import Sequence

from common.records import Message
from envs.verdict.data.medec import ERROR_TYPES

MEANINGS = {
    "diagnosis": "the named disease does not explain the findings",
    "management": "a wrong next step: test, referral, procedure, admission or advice",
    "treatment": "a therapy that does not treat this disease or harms this patient",
    "pharmacotherapy": "a wrong drug, dose, route or interval",
    "causalOrganism": "the named germ does not cause this picture",
}
"""The five types of MEDEC, in the words of this project."""
assert tuple(sorted(MEANINGS)) == tuple(sorted(ERROR_TYPES))

DOCTOR = f"""Check this clinical note. At most one sentence has a medical error. Many notes have none.
The error is one of these types:
{chr(10).join(f"{name}: {meaning}" for name, meaning in MEANINGS.items())}
Think first, then answer exactly like one of these:

<thinking>The finding does not fit the stated treatment.</thinking>
<verdict>Error: treatment
Sentence: 2
Correction: the whole sentence, corrected</verdict>

<thinking>All sentences fit the findings well.</thinking>
<verdict>No Clinical Error</verdict>

Note:
"""

SCRIBE_REWORD = """Reword this sentence from a clinical note. Keep every fact, number, drug and disease. \
Write one sentence and nothing else.

Sentence: """

SCRIBE_PROPOSE = """Put one medical error of type KIND into this clinical note: in one sentence marked with *, replace \
a short phrase by another that is plausible but clinically wrong. Copy the old phrase exactly: 1 to 6 words. The new \
phrase must not stand in the note.
Answer with one JSON object and nothing else, like this:
{"sentence": 3, "old": "the phrase", "new": "the wrong phrase", "type": "KIND"}

Note:
"""

VERIFIER = """One sentence of this clinical note is missing. Which version of it is clinically right?
Answer with one letter and nothing else: A or B.

Note:
"""


def doctor_messages(sentences: Sequence[str]) -> tuple[Message, ...]:
    """The Doctor's prompt: the note as one numbered sentence a line, ids from 0."""
    note = "\n".join(f"{index} {sentence}" for index, sentence in enumerate(sentences))
    return (Message(role="user", content=DOCTOR + note),)


def scribe_reword_messages(sentence: str) -> tuple[Message, ...]:
    """The Scribe's prompt: one sentence in, one sentence out."""
    return (Message(role="user", content=SCRIBE_REWORD + sentence),)


def scribe_propose_messages(sentences: Sequence[str], among: Sequence[int], kind: str) -> tuple[Message, ...]:
    """The Scribe's prompt for an error of type `kind`: the numbered note, the sentences that it may change marked."""
    note = "\n".join(f"{index}{' *' if index in among else ''} {sentence}" for index, sentence in enumerate(sentences))
    return (Message(role="user", content=SCRIBE_PROPOSE.replace("KIND", kind) + note),)


def verifier_messages(sentences: Sequence[str], at: int, versions: tuple[str, str]) -> tuple[Message, ...]:
    """The verifier's prompt: the note without sentence `at`, and two versions of that sentence in this order."""
    note = "\n".join(f"{i} {'____' if i == at else sentence}" for i, sentence in enumerate(sentences))
    a, b = versions
    return (Message(role="user", content=f"{VERIFIER}{note}\n\nSentence {at}:\nA: {a}\nB: {b}"),)
