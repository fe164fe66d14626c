"""Which claims of a model become part of a trial: short, in plain characters, about this record and nothing else."""

from __future__ import annotations

import re

LONGEST = 240
"""Characters."""
_NUMBER = re.compile(r"\d+(?:[.-]\d+)*")
_PLAIN = re.compile(r"[A-Za-z0-9 .,;:%()'/-]+")
_GIVEN_AWAY = re.compile(r"\b(violat|breach|break|error|wrong|mistake|flag|invalid|not met|label)", re.IGNORECASE)


def accepts(text: str, source: str) -> bool:
    """Whether every number and id of `text` is in `source`, and it neither confesses nor runs on."""
    return (
        5 <= len(text) <= LONGEST
        and _PLAIN.fullmatch(text) is not None
        and not _GIVEN_AWAY.search(text)
        and set(_NUMBER.findall(text)) <= set(_NUMBER.findall(source))
    )
