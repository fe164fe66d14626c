"""The Doctor's reply: a strict, linear-time parser and its inverse.

    <thinking> at least five words, three of them different </thinking>
    <verdict>No Clinical Error</verdict>    or    <verdict>Error: TYPE
                                                  Sentence: INT
                                                  Correction: one line</verdict>

The whole completion, with nothing but ASCII whitespace outside the tags. Every tag is plain ASCII, lower case, and
occurs once, in this order. The text is not normalised, so look-alike characters make no tag.
"""

from __future__ import annotations

import re
from enum import StrEnum

from common.records import Record
from envs.verdict.data.medec import ERROR_TYPES

CLEAN = "No Clinical Error"
THINKING_WORDS, DIFFERENT_WORDS = 5, 3  # "word word word word word" is no thought
_TAG = re.compile(r"</?(?:thinking|verdict)", re.IGNORECASE)
_TAGS = ["<thinking", "</thinking", "<verdict", "</verdict"]
_INT = re.compile(r"0|[1-9][0-9]{0,3}")
_SPACE = " \t\r\n"


class Fault(StrEnum):
    """Why a reply does not parse."""

    TAGS = "tags"
    OUTSIDE = "outside"
    THINKING = "thinking"
    FORM = "form"
    TYPE = "type"
    SENTENCE = "sentence"
    CORRECTION = "correction"


class Verdict(Record):
    """A reply that parsed. The last three are None when `error` is False; `sentence` is 0-based."""

    error: bool
    thinking: str
    error_type: str | None = None
    sentence: int | None = None
    correction: str | None = None


class Invalid(Record):
    """A reply that does not follow the grammar."""

    reason: Fault


def parse(completion: str, sentence_count: int | None = None) -> Verdict | Invalid:
    """Read one whole completion; a sentence number at or above `sentence_count` is invalid."""
    text = completion.strip(_SPACE)
    if _TAG.findall(text) != _TAGS:
        return Invalid(reason=Fault.TAGS)
    head, opened, rest = text.partition("<thinking>")
    thinking, thought, rest = rest.partition("</thinking>")
    between, asked, rest = rest.partition("<verdict>")
    body, closed, tail = rest.partition("</verdict>")
    if not (opened and thought and asked and closed):
        return Invalid(reason=Fault.TAGS)
    if head or between.strip(_SPACE) or tail:
        return Invalid(reason=Fault.OUTSIDE)
    words = [word.lower() for word in thinking.split() if any(map(str.isalnum, word))]
    if len(words) < THINKING_WORDS or len(set(words)) < DIFFERENT_WORDS:
        return Invalid(reason=Fault.THINKING)
    if body.strip(_SPACE) == CLEAN:
        return Verdict(error=False, thinking=thinking.strip())
    return _error(body, thinking.strip(), sentence_count)


def render(verdict: Verdict) -> str:
    """The reply that `parse` reads back as `verdict`. Raises ValueError when no reply does."""
    body = CLEAN
    if verdict.error:
        body = f"Error: {verdict.error_type}\nSentence: {verdict.sentence}\nCorrection: {verdict.correction}"
    reply = f"<thinking>{verdict.thinking}</thinking>\n<verdict>{body}</verdict>"
    parsed = parse(reply)
    if parsed != verdict:
        raise ValueError(f"no reply says {verdict!r}: reading it back gives {parsed!r}")
    return reply


def untagged(text: str) -> str:
    """`text` with the bracket of whatever would be read as a tag replaced, so that a reply may quote it."""
    return _TAG.sub(lambda tag: "(" + tag[0][1:], text)


def _error(body: str, thinking: str, sentence_count: int | None) -> Verdict | Invalid:
    lines = [line.strip(_SPACE) for line in body.strip(_SPACE).split("\n")]
    if [line.partition(":")[0] for line in lines] != ["Error", "Sentence", "Correction"]:
        return Invalid(reason=Fault.FORM)
    error_type, number, correction = (line.partition(":")[2].strip() for line in lines)
    if error_type not in ERROR_TYPES:
        return Invalid(reason=Fault.TYPE)
    if not _INT.fullmatch(number) or (sentence_count is not None and int(number) >= sentence_count):
        return Invalid(reason=Fault.SENTENCE)
    if len(correction.splitlines()) != 1:  # also refuses an empty one, and line breaks other than "\n"
        return Invalid(reason=Fault.CORRECTION)
    return Verdict(error=True, thinking=thinking, error_type=error_type, sentence=int(number), correction=correction)
