from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from envs.verdict.data.overlap import Reference, grams

WORDS = st.lists(st.sampled_from(["a", "patient", "has", "stiff", "knees", "since", "his", "fall"]), max_size=30)


@given(st.lists(WORDS, min_size=1, max_size=5), WORDS)
def test_containment_is_the_best_share_of_the_shorter_notes_grams(others: list[list[str]], note: list[str]) -> None:
    own = grams(" ".join(note))
    shares = [len(own & g) / min(len(own), len(g)) for g in (grams(" ".join(o)) for o in others) if own and g]
    assert Reference(" ".join(other) for other in others).containment(" ".join(note)) == max(shares, default=0.0)


def test_case_and_punctuation_hide_no_copy() -> None:
    kept = Reference(["He fell, and his left knee is stiff."])
    assert kept.containment("he fell and HIS left-knee is stiff") == 1.0
    assert kept.containment("Nothing of the kind is written here.") == 0.0
    assert kept.containment("too short") == 0.0


def test_a_short_copy_inside_a_long_note_is_a_full_copy() -> None:
    assert Reference(["a b c d e f g h i j"]).containment("c d e f") == 1.0
