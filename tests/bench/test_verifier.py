from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.verifier import Margins, margins, questions, rows, show
from common.records import Message
from envs.contract.env import Written
from envs.verdict.data.medec import load_notes
from envs.verdict.scribe.verifier import judged


async def knowing(messages: tuple[Message, ...], max_tokens: int) -> Written:
    """Prefers the longer version by a nat."""
    a, b = (line[3:] for line in messages[-1].content.splitlines() if line[:3] in ("A: ", "B: "))
    first = (("A", -1.0), ("B", -2.0)) if len(a) > len(b) else (("A", -2.0), ("B", -1.0))
    return Written(text="", truncated=True, policy_version=0, first=first)


async def test_the_questions_are_errors_against_corrections_and_changes_that_are_none() -> None:
    notes = load_notes("bundled")
    pairs, probes = questions(notes, 20)
    assert len(pairs) == len(probes) == 20 and questions(notes, 20) == (pairs, probes)
    assert all(choice.original != choice.other == choice.sentences[choice.at] for choice in pairs)
    found = await margins(pairs, probes, knowing)
    expected = [1.0 if len(choice.original) > len(choice.other) else -1.0 for choice in pairs]
    assert [value for value, one in zip(found.errors, pairs, strict=True) if len(one.original) != len(one.other)] == [
        value for value, one in zip(expected, pairs, strict=True) if len(one.original) != len(one.other)
    ]


def test_a_row_counts_what_a_margin_accepts_of_either_kind() -> None:
    found = Margins(errors=(4.0, 3.0, 2.0, 1.0, None, -1.0), others=(2.5, -3.0, None), seconds=1.0)
    by_threshold = {row.threshold: (row.errors, row.others) for row in rows(found)}
    assert by_threshold == {4.0: (1, 0), 3.0: (2, 0), 2.0: (3, 1), 1.0: (4, 1)}
    assert rows(Margins(errors=(None, -1.0), others=(), seconds=1.0)) == []
    assert rows(found)[0].bound == pytest.approx(0.05)


def test_the_page_ends_with_what_a_run_would_say() -> None:
    text = io.StringIO()
    found = Margins(errors=(2.0, None, 1.0, -1.0), others=(0.5,) * 4, seconds=3.0)
    show(found, judged(found.errors, found.others), Console(file=text, width=160))
    assert "16 questions in 3 s, 1 of 8 without a letter" in text.getvalue()
    assert text.getvalue().splitlines()[-1].startswith("verifier exam failed: no margin picks out errors")
