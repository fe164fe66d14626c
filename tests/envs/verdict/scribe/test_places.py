from __future__ import annotations

import pytest

from envs.verdict.scribe.edits import Edit
from envs.verdict.scribe.places import misplaced

STATED, MINED = "inject:A:stated", "inject:B"


def found(operator: str, sentence: str, old: str, new: str, first: bool = False) -> str | None:
    note = ("A 40-year-old man comes to the clinic.", "His pulse is 80/min.", "He is seen again.")
    at = 0 if first else 1
    sentences = (*note[:at], sentence, *note[at + 1 :])
    return misplaced(sentences, Edit(operator=operator, sentence=at, start=sentence.index(old), old=old, new=new))


@pytest.mark.parametrize(
    ("why", "operator", "sentence", "old", "new"),
    [
        ("told", STATED, "She states that she needs new clothes.", "new clothes", "a hysterectomy"),
        ("told", MINED, "He refuses cognitive behavioral therapy.", "cognitive behavioral", "fluoxetine"),
        ("else", STATED, "Her partner is treated for gonorrhea.", "gonorrhea", "benign prostatic hyperplasia"),
        ("denied", STATED, "He walks without experiencing chest pain.", "chest pain", "a hypertensive emergency"),
        ("denied", STATED, "She is unable to undergo a pelvic exam.", "a pelvic exam", "screening mammography"),
        ("once", MINED, "She had post-operative pneumonia, treated with cefotaxime.", "cefotaxime", "levofloxacin"),
        ("once", MINED, "She has tried fluoxetine, without success.", "fluoxetine", "buspirone"),
        ("once", STATED, "He has diabetes treated with metformin.", "metformin", "midodrine"),
        ("once", STATED, "She was treated for lymphoma at the age of 28 years.", "lymphoma", "preeclampsia"),
        ("result", MINED, "An x-ray of the chest shows an infiltrate.", "An x-ray", "A CT scan"),
        ("result", STATED, "A biopsy is done and demonstrates cancer.", "A biopsy", "A hysterectomy"),
        ("taken", STATED, "An MRI is obtained.", "An MRI", "Active external rewarming"),
        ("taken", STATED, "He needs radioiodine treatment.", "radioiodine", "screening mammography"),
        ("to", STATED, "He is diagnosed with hypersensitivity to gliadin.", "hypersensitivity", "preeclampsia"),
        ("laboratory", STATED, "Cultures indicate Echovirus.", "Echovirus", "preeclampsia"),
        ("susceptible", MINED, "E. coli was susceptible to ceftriaxone.", "ceftriaxone", "ampicillin"),
        ("part", MINED, "Incentive spirometry is started.", "spirometry", "methacholine challenge test"),
        ("part", MINED, "Amphotericin B is administered.", "Amphotericin", "Voriconazole"),
        ("part", MINED, "Oral prednisone was started.", "prednisone", "intravenous immunoglobulin"),
        ("part", MINED, "She is diagnosed with a Phyllodes tumor.", "tumor", "torsion"),
        ("preposition", MINED, "She is diagnosed with bartonella infection.", "bartonella", "by HHV-8 virus"),
        ("imaging", MINED, "Then an x-ray is ordered.", "x-ray", "CT scan with contrast"),
    ],
)
def test_a_span_that_makes_no_error_of_this_visit_is_named(
    why: str, operator: str, sentence: str, old: str, new: str
) -> None:
    assert found(operator, sentence, old, new) == why


@pytest.mark.parametrize(
    ("operator", "sentence", "old", "new"),
    [
        (STATED, "A lumbar puncture is performed after a CT scan shows no mass.", "A lumbar puncture", "A colonoscopy"),
        (STATED, "Surgery is recommended to relieve the pain.", "Surgery", "Codeine"),
        (STATED, "An MRI is obtained.", "An MRI", "Colposcopy"),
        (MINED, "Oral prednisone was started.", "prednisone", "methotrexate"),
        (MINED, "He is diagnosed with acute pancreatitis.", "pancreatitis", "cholecystitis"),
        (MINED, "An MRI of the brain is ordered.", "MRI of the brain", "CT scan of the abdomen"),
    ],
)
def test_a_decision_of_this_visit_may_be_wrong(operator: str, sentence: str, old: str, new: str) -> None:
    assert found(operator, sentence, old, new) is None


def test_what_brings_the_patient_is_no_decision_unless_it_is_suspected() -> None:
    wound = "A 38-year-old man comes after he sustained a gunshot wound."
    guess = "A 38-year-old man with suspected pneumonia comes to the clinic."
    assert found(STATED, wound, "a gunshot wound", "hypoglycemia", first=True) == "opening"
    assert found(STATED, guess, "pneumonia", "hypoglycemia", first=True) is None
