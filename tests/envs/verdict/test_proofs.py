from __future__ import annotations

import pytest

from envs.knowledge.rows import contradictions
from envs.verdict.proofs import Patient, because, proofs
from envs.verdict.scribe.contradictions import contradicted, places
from envs.verdict.scribe.edits import apply
from envs.verdict.scribe.reading import read

MAN = "A 54-year-old man comes to the physician because of weakness."
WOMAN = "A 25-year-old pregnant woman has acne."
NOTES = [
    ((MAN, "His serum potassium is 4.1 mEq/L.", "He is diagnosed with gout."), "hyperkalemia", "diagnosis"),
    ((MAN, "Na+ 139 mEq/L Ca2+: 9.2 mg/dL HCO3- 24 mEq/L", "He is diagnosed with gout."), "hypocalcemia", "diagnosis"),
    ((MAN, "His pulse is 40/min.", "Lisinopril is prescribed."), "metoprolol", "pharmacotherapy"),
    ((MAN, "His blood pressure is 152/90 mm Hg.", "Aspirin is given."), "norepinephrine infusion", "pharmacotherapy"),
    ((MAN, "He has asthma.", "Amlodipine and aspirin are prescribed."), "propranolol", "pharmacotherapy"),
    ((MAN, "Temperature is 98.2 F.", "He is suspected of having sepsis."), "heat stroke", "diagnosis"),
    ((MAN, "He is well.", "A colonoscopy is performed."), "a hysterectomy", "management"),
    (("A 6-year-old girl has pain.", "She is well.", "Ibuprofen is given."), "codeine", "pharmacotherapy"),
    ((MAN, "pO2 54 mm Hg pCO2 31 mm Hg", "He is diagnosed with flu."), "acute respiratory acidosis", "diagnosis"),
    ((WOMAN, "She is well.", "She is prescribed tretinoin."), "isotretinoin", "pharmacotherapy"),
]  # fmt: skip


@pytest.mark.parametrize(("note", "say", "kind"), NOTES)
def test_a_table_and_the_note_prove_the_error_twice_and_not_without_the_evidence(
    note: tuple[str, ...], say: str, kind: str
) -> None:
    found = [one for one in contradicted(note, {}) if one.edit.new.lower().removesuffix(" is") == say.lower()]
    assert found and found[0].error_type == kind
    edit = found[0].edit
    assert kind in proofs(note, edit.sentence, edit.old, edit.new)
    assert because(note, edit.new)
    without = ("A person is seen.", "All is well.", note[2])
    assert not [one for one in contradicted(without, {}) if one.edit.new == edit.new]
    assert proofs(without, edit.sentence, edit.old, edit.new) == set()


@pytest.mark.parametrize(
    "evidence",
    [
        "His urine potassium is 4.1 mEq/L.",
        "The fetal potassium is 4.1 mEq/L.",
        "His serum potassium is 4.1 mEq/L, and later the potassium is 5.9 mEq/L.",
        "His serum potassium is normal.",
        "His serum potassium is 41 mEq/L.",
    ],
)
def test_another_fluid_another_value_or_another_patient_proves_nothing(evidence: str) -> None:
    note = (MAN, evidence, "He is diagnosed with gout.")
    assert "hyperkalemia" not in {one.edit.new for one in contradicted(note, {})}
    assert proofs(note, 2, "gout", "hyperkalemia") == set()


@pytest.mark.parametrize("said", ["He has no asthma.", "His brother has asthma.", "He denies asthma."])
def test_a_disease_that_he_does_not_have_forbids_no_drug(said: str) -> None:
    note = (MAN, said, "Lisinopril is prescribed.")
    assert "Propranolol" not in {one.edit.new for one in contradicted(note, {})}
    assert proofs(note, 2, "Lisinopril", "Propranolol") == set()


def test_the_type_is_the_annotators_where_they_gave_one_to_the_decision() -> None:
    note = NOTES[2][0]
    assert {one.error_type for one in contradicted(note, {2: "management"})} == {"management"}
    assert proofs(note, 2, "Lisinopril", "Metoprolol", "management") == {"management"}
    assert proofs(note, 2, "Lisinopril", "Metoprolol", "diagnosis") == {"pharmacotherapy"}


def test_several_things_give_way_to_one_with_their_verb() -> None:
    note = NOTES[4][0]
    changed = {apply(note, one.edit)[2] for one in contradicted(note, {})}
    assert "Propranolol is prescribed." in changed


def test_two_readers_who_share_no_code_agree_on_every_condition_of_the_tables() -> None:
    conditions = sorted({condition for row in contradictions() for condition in row.wrong})
    for note, _say, _kind in NOTES:
        reading, patient = read(note), Patient(note)
        assert [c for c in conditions if reading.holds(c) != patient.is_stated(c)] == []


@pytest.mark.parametrize(
    "said",
    ["The patient was advised to continue.", "He has a history of gout and was diagnosed with it two years ago."],
)
def test_advice_and_history_are_no_place(said: str) -> None:
    assert list(places((MAN, said))) == []


@pytest.mark.parametrize(
    ("said", "is_pregnant"),
    [
        ("A 49-year-old woman, gravida 1, para 1, comes because of hot flashes.", False),
        ("A 32-year-old woman, gravida 2, para 1, at 20 weeks' gestation comes for a visit.", True),
        ("A 26-year-old G1P0 woman comes for her first prenatal visit.", True),
    ],
)
def test_a_woman_who_once_bore_is_not_pregnant_to_either_reader(said: str, is_pregnant: bool) -> None:
    note = (said, "She is well.", "Ibuprofen is given.")
    assert read(note).holds("pregnant") is is_pregnant is Patient(note).is_stated("pregnant")


def test_an_error_that_opens_a_sentence_within_a_line_has_its_capital() -> None:
    note = (MAN, "His serum potassium is 6.1 mEq/L.", "His serum glucose is 80 mg/dL. Naloxone is administered.")
    changed = {apply(note, one.edit)[2] for one in contradicted(note, {})}
    assert "His serum glucose is 80 mg/dL. Spironolactone is administered." in changed


def test_what_a_patient_has_is_a_decision_only_where_annotators_say_so() -> None:
    note = (MAN, "His pulse is 72/min.", "The patient has gout.")
    assert contradicted(note, {}) == []
    assert "ventricular tachycardia" in {one.edit.new for one in contradicted(note, {2: "diagnosis"})}
