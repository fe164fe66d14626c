from __future__ import annotations

import pytest

from envs.verdict.scribe.artefacts import artefact
from envs.verdict.scribe.edits import Edit, apply


def found(sentence: str, old: str, new: str) -> str | None:
    edit = Edit(operator="x", sentence=0, start=sentence.index(old), old=old, new=new)
    return artefact(sentence, apply((sentence,), edit)[0], edit)


@pytest.mark.parametrize(
    ("why", "sentence", "old", "new"),
    [
        ("brackets", "He has a mass (left) in the lung.", "(left)", "(right"),
        ("twice", "She has acute pancreatitis.", "pancreatitis", "acute appendicitis"),
        ("article", "He has an abscess.", "abscess", "fracture"),
        ("article", "He has a fracture.", "fracture", "abscess"),
        ("drug", "Aspirin and heparin are given.", "heparin", "aspirin"),
        ("composite", "There is 80% stenosis of the artery.", "stenosis", "regurgitation"),
    ],
)
def test_what_gives_an_edit_away_without_medicine_is_named(why: str, sentence: str, old: str, new: str) -> None:
    assert found(sentence, old, new) == why


@pytest.mark.parametrize(
    ("sentence", "old", "new"),
    [
        ("He has an abscess.", "an abscess", "a fracture"),
        ("A universal mask is worn for an hour.", "mask", "gown"),
        ("She is given lisinopril 10 mg daily.", "10", "100"),
        ("Heparin is given (slowly).", "Heparin", "Warfarin"),
    ],
)
def test_a_clean_swap_has_none(sentence: str, old: str, new: str) -> None:
    assert found(sentence, old, new) is None


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("an adenoma", "Laxative abuse", "capital"),
        ("an adenoma", "Staphylococcus aureus infection", None),
        ("an adenoma", "Crohn's disease", None),
        ("Hodgkin lymphoma", "Ulcerative colitis", None),
    ],
)
def test_a_capital_that_belonged_to_another_sentence_is_named(old: str, new: str, why: str | None) -> None:
    sentence = f"He was diagnosed with {old}."
    edit = Edit(operator="inject:B", sentence=0, start=sentence.index(old), old=old, new=new)
    assert artefact(sentence, apply((sentence,), edit)[0], edit) == why
