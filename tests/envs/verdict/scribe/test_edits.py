from __future__ import annotations

import random

import pytest

from envs.verdict.scribe import edits, gate
from envs.verdict.scribe.edits import Edit, apply, cosmetic, invert

NOTE = (
    "A 24-year-old woman comes to the emergency department because of a 4-hour history of headaches.",
    "Two weeks ago, she was started on Tylenol and metformin after 3 days of fever.",
    "Her blood pressure is 102/73 mm Hg and her oxygen saturation is 98% on room air.",
    "On March 3, physical examination shows facial flushing.",
)


@pytest.mark.parametrize("name", sorted(edits.OPERATORS.keys() - {"typo"}))
def test_every_operator_of_a_rewording_finds_a_place_and_passes_the_gate(name: str) -> None:
    spans = [(sentence, span) for sentence in NOTE for span in edits.OPERATORS[name](sentence)]
    assert spans
    for sentence, (start, old, new) in spans:
        assert sentence.startswith(old, start) and old != new
        changed = sentence[:start] + new + sentence[start + len(old) :]
        assert gate.check(sentence, changed) is None, (old, new)


def test_brand_and_generic_replace_each_other() -> None:
    assert edits.OPERATORS["brand"]("She takes Tylenol.") == [(10, "Tylenol", "acetaminophen")]
    assert edits.OPERATORS["brand"]("Metformin is given.") == [(0, "Metformin", "Glucophage")]


def test_the_rule_fallback_of_a_rewording_is_never_only_a_typo() -> None:
    assert cosmetic("The physician examined the patient.", 0, random.Random(0)) is not None
    assert cosmetic("The patient appeared several times.", 0, random.Random(0)) is None


def test_a_log_of_another_note_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="edit log does not fit"):
        invert(("abc",), [Edit(operator="noise:typo", sentence=0, start=1, old="x", new="z")])
    with pytest.raises(ValueError, match="edit log does not fit"):
        apply(("abc",), Edit(operator="noise:typo", sentence=3, start=0, old="a", new="z"))
