from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.knowledge.demographics import demographics, same_ages
from envs.knowledge.rows import contradictions
from envs.verdict.data.medec import load_notes
from envs.verdict.scribe.edits import invert
from envs.verdict.scribe.retelling import KINDS, kinds, retold
from envs.verdict.telling import retelling_fault

NOTE = (
    "A 47-year-old man is brought to the emergency department by his brother because of a 2-day history of fever.",
    "His brother reports that he coughs at night.",
    "He works as an accountant.",
    "Mr. Smith does not smoke.",
    "Mr. Smith is given oxygen.",
)
ALL = frozenset(range(len(NOTE)))


def told(note: tuple[str, ...], free: frozenset[int] | None = None, seed: int = 0) -> tuple[str, ...]:
    return retold(note, sorted(range(len(note)) if free is None else free), KINDS, random.Random(seed))[0]


def test_the_same_case_is_told_of_somebody_else_wherever_he_is_named() -> None:
    out = " ".join(told(NOTE))
    for old in ("47-year-old", "emergency department", "brother", "an accountant", "Smith"):
        assert old not in out
    assert out.count("cousin") == 2 and "fever" in out and "oxygen" in out


def test_what_is_named_in_locked_evidence_keeps_its_name_everywhere() -> None:
    out = told(NOTE, ALL - {4})
    assert out[3:] == NOTE[3:] and out[2] != NOTE[2]


@pytest.mark.parametrize(
    "said",
    [
        "She had her last colonoscopy 5 years ago.",
        "Her 12-year-old son is healthy.",
        "She has smoked for 40 years.",
        "Her HEART score is 4.",
        "She went through menopause 2 years ago.",
    ],
)
def test_an_age_on_which_something_hangs_stays(said: str) -> None:
    plain = ("A 52-year-old woman comes to the physician because of a cough.", "She sleeps badly.")
    assert "age" in kinds(plain, (0, 1)) and "age" not in kinds((plain[0], said), (0, 1))


@pytest.mark.parametrize(
    "said",
    [
        "His mother has asthma.",
        "His mother is a nurse and reports a rash.",
        "His mother says that her son has a rash.",
        "His mother's sister reports a rash.",
        "He was born at term, as his mother says.",
    ],
)
def test_a_companion_of_whom_more_is_said_stays(said: str) -> None:
    first = "A 6-year-old boy is brought to the physician by his mother because of a rash."
    assert "kin" in kinds((first,), (0,)) and "kin" not in kinds((first, said), (0, 1))


@given(st.integers(0, 120))
def test_no_boundary_of_a_guideline_lies_between_two_ages_that_count_as_the_same(years: int) -> None:
    bounds = [row.years for row in demographics().age_boundaries]
    for other in same_ages(years):
        assert years != other and not any(min(years, other) <= bound <= max(years, other) for bound in bounds)
        assert min(years, other) > min(bounds)


def test_a_boundary_and_a_childs_age_have_no_other() -> None:
    assert same_ages(65) == same_ages(12) == same_ages(18) == () and same_ages(62) == (61, 63, 64)


def test_every_row_names_its_source_and_holds_two_words() -> None:
    known = demographics()
    rows = [*known.occupations, *known.kin, *known.settings, known.surnames]
    assert all(row.source and len(set(row.says)) == len(row.says) >= 2 for row in rows)
    assert all(row.source for row in known.age_boundaries)


def test_every_retelling_of_the_bundled_notes_inverts_and_is_the_same_case_to_the_checker() -> None:
    found = 0
    for note in load_notes("bundled"):
        out, log = retold(note.sentences, range(len(note.sentences)), KINDS, random.Random(note.note_id))
        assert invert(out, log) == note.sentences
        assert retelling_fault(note.sentences, log, frozenset()) is None
        found += len(log)
    assert found > 60


def test_the_table_of_contradictions_tells_no_two_ages_of_one_note_apart() -> None:
    rows = [condition for row in contradictions() for condition in row.wrong if condition.startswith("age ")]
    assert rows
    for seed in range(200):
        out = told(("A 53-year-old woman comes to the physician.",), seed=seed)[0]
        age = int(out.split("-")[0].removeprefix("A "))
        assert all((float(r.split()[-1]) >= 53) == (age <= float(r.split()[-1])) for r in rows)
