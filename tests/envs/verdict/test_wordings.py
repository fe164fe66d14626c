from __future__ import annotations

import pytest

from envs.verdict.scribe.edits import OPERATORS
from envs.verdict.scribe.gate import check
from envs.verdict.scribe.pairs import KEPT, Part, read_pairs
from envs.verdict.wordings import says_alike


def test_the_checker_believes_what_the_gate_accepts_of_known_paraphrases() -> None:
    good = [pair for pair in read_pairs() if pair.kind == KEPT and pair.part is Part.DEVELOPMENT]
    accepted = [pair for pair in good if check(pair.one, pair.other, pair.patient) is None]
    doubted = [pair for pair in accepted if not says_alike(pair.one, pair.other)]
    assert len(doubted) <= 0.005 * len(accepted), doubted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("He has fever.", "He has no fever."),
        ("He vomited twice.", "He vomited three times."),
        ("The pain lasted 5 days.", "The pain lasted 15 days."),
        ("The rash is painless.", "The rash is painful."),
        ("She takes 10 mg daily.", "She takes 1 mg daily."),
    ],
)
def test_another_number_and_a_lost_denial_are_not_the_same(one: str, other: str) -> None:
    assert not says_alike(one, other) and not says_alike(other, one)


def test_an_article_goes_with_the_brand_that_follows() -> None:
    assert OPERATORS["brand"]("His only medication is an albuterol inhaler.") == []
    assert OPERATORS["brand"]("He uses albuterol daily.") != []
