from __future__ import annotations

import random

import pytest

from envs.verdict.data.medec import load_notes
from envs.verdict.scribe.edits import placed, unplaced
from envs.verdict.scribe.flow import told
from envs.verdict.telling import order_fault

NOTE = (
    "A 30-year-old man comes to the physician because of a cough.",
    "He does not smoke.",
    "His family history is unremarkable.",
    "Physical examination shows crackles at the left base.",
    "An x-ray of the chest shows an infiltrate.",
    "He is diagnosed with pneumonia.",
)


def order(note: tuple[str, ...], focus: int | None, free: tuple[int, ...] = (), seed: int = 0) -> tuple[int, ...]:
    return told(note, focus, free, random.Random(seed))


def test_a_decision_that_ends_its_note_goes_before_findings() -> None:
    found = {order(NOTE, 5, seed=seed) for seed in range(40)}
    assert found == {(0, 1, 2, 5, 3, 4), (0, 1, 2, 3, 5, 4)}


def test_neighbours_of_the_history_change_places_where_both_are_free() -> None:
    assert order(NOTE, None, (1, 2)) == (0, 2, 1, 3, 4, 5)
    assert order(NOTE, None, (1,)) == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "last",
    [
        "This is diagnosed as pneumonia.",
        "He is then given an antibiotic.",
        "The infiltrate is due to pneumonia.",
        "Based on these findings, he is treated.",
    ],
)
def test_a_decision_that_refers_back_stays(last: str) -> None:
    assert order((*NOTE[:-1], last), 5) == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "before",
    ["An antibiotic is started.", "He is admitted to the hospital.", "The surgeon decides to wait.", "He then falls."],
)
def test_a_decision_does_not_pass_what_happened_before_it(before: str) -> None:
    assert order((*NOTE[:4], before, NOTE[5]), 5) == (0, 1, 2, 3, 4, 5)


def test_findings_that_were_announced_stay_with_their_announcement() -> None:
    note = (NOTE[0], "Laboratory values are ordered as seen below.", "Serum potassium is 4.0 mEq/L.", NOTE[5])
    assert order(note, 3) == (0, 1, 2, 3)


def test_every_order_of_the_bundled_notes_inverts_and_is_one_to_the_checker() -> None:
    moved = 0
    for note in load_notes("bundled"):
        focus, free = len(note.sentences) - 1, tuple(range(1, len(note.sentences)))
        found = told(note.sentences, focus, free, random.Random(note.note_id))
        assert unplaced(placed(note.sentences, found), found) == note.sentences
        assert order_fault(note.sentences, found) is None
        moved += found != tuple(range(len(note.sentences)))
    assert moved > 20
