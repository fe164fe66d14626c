from __future__ import annotations

import random
from pathlib import Path

import pytest

from envs.verdict.data.medec import ERROR_TYPES, Note, load_notes
from envs.verdict.scribe import phrases
from envs.verdict.scribe.edits import apply, invert
from envs.verdict.scribe.phrases import Injection, decisions, mine, pick, provable

MEDEC = Path(__file__).parents[5] / "shared" / "medec" / "medec_ms_train_pairs.jsonl"


def error_note(error: str, corrected: str, kind: str = "diagnosis") -> Note:
    return Note(
        note_id="n",
        vignette="v",
        sentences=("The patient has a fever.", error),
        raw_sentences=("The patient has a fever.", error),
        error_type=kind,
        error_sentence=1,
        corrected_sentence=corrected,
    )


def only(injections: list[Injection], sentences: list[str]) -> set[str]:
    return {apply(sentences, injection.edit)[injection.edit.sentence] for injection in injections}


def test_the_span_in_which_error_and_correction_differ_becomes_a_phrase() -> None:
    book = mine([error_note("The patient is diagnosed with a migraine.", "The patient is diagnosed with an abscess.")])
    note = ["He has a headache.", "He is suspected of having an abscess."]
    assert only(book.injections(note, "another"), note) == {"He is suspected of having a migraine."}
    assert [i.error_type for i in book.injections(note, "another")] == ["diagnosis"]


@pytest.mark.parametrize(
    ("error", "corrected"),
    [
        ("He has acute gout.", "He has chronic gout."),  # fits anywhere
        ("He is given aspirin.", "He is given aspirin and heparin."),  # nothing to replace
        ("He takes a b c d e f migraine.", "He takes g h i j k l abscess."),  # too long
    ],
)
def test_a_difference_that_names_nothing_is_not_mined(error: str, corrected: str) -> None:
    assert len(mine([error_note(error, corrected)])) == 0


def test_a_sentence_capital_does_not_travel_into_the_middle_of_another() -> None:
    notes = [error_note("Hepatitis is suspected.", "Appendicitis is suspected."), error_note("The hepatitis.", "x y")]
    note = ["The patient was diagnosed with appendicitis."]
    assert only(mine(notes).injections(note, "another"), note) == {"The patient was diagnosed with hepatitis."}


def test_history_and_plain_findings_are_no_place_for_an_injection() -> None:
    note = [
        "He has a history of treated gout.",
        "The knee is swollen.",
        "Gout is diagnosed.",
        "His father was treated.",
    ]
    assert decisions(note) == [2]


def test_a_word_of_history_is_no_part_of_another_word() -> None:
    assert decisions(["Glucagon was administered.", "It was administered two days ago."]) == [0]


def test_a_phrase_that_the_note_already_holds_is_not_injected() -> None:
    book = mine([error_note("Migraine is suspected.", "Meningitis is suspected.")])
    assert book.injections(["A migraine was excluded.", "Meningitis is suspected."], "another") == []


def test_a_drug_of_the_class_that_the_note_calls_an_allergy_is_provably_wrong() -> None:
    note = ["She is allergic to penicillin.", "She is prescribed azithromycin."]
    found = provable(note)
    assert "She is prescribed amoxicillin." in only(found, note)
    assert {(i.error_type, i.tier) for i in found} == {("pharmacotherapy", "A")}


@pytest.mark.parametrize("said", ["She is not allergic to penicillin.", "She denies any penicillin allergy."])
def test_a_denied_allergy_proves_nothing(said: str) -> None:
    assert provable([said, "She is prescribed azithromycin."]) == []


def test_an_organism_other_than_the_culture_grew_is_provably_wrong() -> None:
    note = ["Sputum culture grows Legionella pneumophila.", "Infection with Legionella pneumophila is diagnosed."]
    found = provable(note)
    assert found and {i.error_type for i in found} == {"causalOrganism"}
    assert {i.edit.sentence for i in found} == {1}


def test_the_other_side_is_provably_wrong_only_where_the_note_never_names_it() -> None:
    note = ["He has pain in the left knee.", "An x-ray of the left knee is ordered."]
    assert only(provable(note), note) == {"An x-ray of the right knee is ordered."}
    assert provable([*note, "The right hip is normal."]) == []


def test_a_dose_above_the_ceiling_of_the_label_is_provably_wrong() -> None:
    note = ["She is started on lisinopril 10 mg daily."]
    assert only(provable(note), note) == {
        "She is started on lisinopril 100 mg daily.",
        "She is started on lisinopril 1000 mg daily.",
        "She is started on lisinopril 10 g daily.",
        "She is started on lisinopril 10 mg every 2 hours.",
    }


def test_a_drug_of_the_note_gives_way_to_its_look_alike_where_a_therapy_at_hand_is_spoken_of() -> None:
    note = ["She takes metformin.", "Metformin therapy is stopped."]
    assert only(provable(note), note) == {"Metronidazole therapy is stopped."}
    assert provable(["She takes nothing.", note[1]]) == []
    assert provable([*note, "Metronidazole was given too."]) == []
    assert provable([note[0], "Metformin therapy is begun."]) == []


def test_a_mined_phrase_loses_its_first_article_and_no_letter_inside() -> None:
    book = mine([error_note("It is caused by the Giardia lamblia germ.", "It is caused by Campylobacter jejuni.")])
    note = ["Infection with Campylobacter jejuni is suspected."]
    assert only(book.injections(note, "another"), note) == {"Infection with Giardia lamblia germ is suspected."}


def test_every_error_type_has_a_weight() -> None:
    assert set(phrases.TYPE_WEIGHTS) == set(ERROR_TYPES)
    assert pick([], random.Random(0)) is None


@pytest.mark.skipif(not MEDEC.exists(), reason="MEDEC is not here")
def test_every_injection_into_real_notes_inverts_and_changes_one_sentence() -> None:
    notes = load_notes(MEDEC)[:600]
    book = mine(notes)
    found = [
        (n, i)
        for n in notes
        if not n.is_error
        for i in (*provable(n.sentences), *book.injections(n.sentences, n.vignette))
    ]
    assert len(book) > 100 and len(found) > 50
    for note, injection in found:
        changed = apply(note.sentences, injection.edit)
        assert invert(changed, [injection.edit]) == note.sentences
        assert [i for i, s in enumerate(changed) if s != note.sentences[i]] == [injection.edit.sentence]
