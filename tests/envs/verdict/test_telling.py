"""The checker's judgement of another telling: what the Scribe must not do is found without the Scribe's rules."""

from __future__ import annotations

import pytest

from envs.verdict.knowledge.tables import content_words
from envs.verdict.scribe.edits import Edit
from envs.verdict.telling import is_retelling, order_fault, retelling_fault

NOTE = (
    "A 47-year-old woman is brought to the physician by her sister because of a cough.",
    "Her sister says that she works as a librarian.",
    "Physical examination shows crackles.",
    "It hurts to breathe.",
    "She is diagnosed with pneumonia.",
)


def edit(sentence: int, old: str, new: str) -> Edit:
    return Edit(operator="noise:typo", sentence=sentence, start=NOTE[sentence].index(old), old=old, new=new)


SISTER = [edit(0, "sister", "cousin"), edit(1, "sister", "cousin")]


def fault(*changes: Edit, note: tuple[str, ...] = NOTE, evidence: str = "") -> str:
    return str(retelling_fault(note, changes, content_words(evidence)))


def test_consistent_changes_are_the_same_case() -> None:
    changes = [*SISTER, edit(0, "47", "48"), edit(1, "librarian", "archivist")]
    assert all(map(is_retelling, changes)) and retelling_fault(NOTE, changes, frozenset()) is None


@pytest.mark.parametrize(("old", "new"), [("cough", "rash"), ("librarian", "miner"), ("sister", "physician")])
def test_other_words_are_no_retelling(old: str, new: str) -> None:
    assert not is_retelling(Edit(operator="retell:kin", sentence=0, start=0, old=old, new=new))


def test_a_change_in_one_place_only_is_found() -> None:
    assert "stands 2 times in the note and changes 1 times" in fault(SISTER[0])


def test_two_words_for_one_person_are_found() -> None:
    assert "more than one way" in fault(SISTER[0], edit(1, "sister", "mother"))


def test_an_age_across_a_boundary_is_found() -> None:
    assert "boundary" in fault(edit(0, "47", "51")) and "boundary" in fault(edit(0, "47", "45"))


def test_an_age_on_which_something_hangs_is_found() -> None:
    assert "goes by age" in fault(edit(0, "47", "48"), note=(*NOTE, "She needs a screening mammogram."))


def test_a_relative_of_whom_more_is_said_is_found() -> None:
    note = (NOTE[0], "Her sister has lupus.", *NOTE[2:])
    assert "more is said" in fault(*SISTER, note=note)
    assert "others of the family" in fault(*SISTER, note=(*NOTE, "Her mother has lupus."))


def test_a_changed_sentence_of_the_evidence_is_found() -> None:
    assert "evidence" in fault(edit(1, "librarian", "archivist"), evidence="A librarian breathes dust.")


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ((0, 1, 4, 2, 3), "None"),
        ((0, 1, 2, 4, 3), "begins with a reference"),
        ((4, 0, 1, 2, 3), "begins"),
        ((0, 0, 1, 2, 3), "no order"),
        ((0, 1, 2), "no order"),
        ((0, 3, 1, 2, 4), "refers back"),
    ],
)
def test_an_order_that_breaks_the_story_is_found(order: tuple[int, ...], why: str) -> None:
    assert why in str(order_fault(NOTE, order))


def test_an_event_is_not_passed() -> None:
    assert "event" in str(order_fault((NOTE[0], "Ampicillin is given.", NOTE[4]), (0, 2, 1)))
