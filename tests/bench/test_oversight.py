from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

import pytest
from rich.console import Console

from bench.oversight import measured, show
from common.records import Message


class Words:
    """Counts words where the bridge of a tokenizer counts tokens."""

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return tuple(range(sum(len(message.content.split()) for message in messages)))

    suffix = prompt


def test_the_tables_show_the_game_in_numbers() -> None:
    found = measured("duo", 6, Words(), str.split)  # type: ignore[arg-type]
    assert (found.disputed, found.oracle) == (0, 1.0) and found.audit_of_oracle == pytest.approx(1.0)
    assert max(reward for reward, _ in found.blind.values()) <= 0.05
    assert found.blind["flag all as invalid_age"][1] > 0.5, "the score of the source pays it"
    assert found.tokens.prompt < found.tokens.audit
    text = StringIO()
    show([found], Console(width=120, file=text))
    assert "duo" in text.getvalue() and "approve all" in text.getvalue()
