from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.verdict.cosmetic import cosmetic
from envs.verdict.data.medec import Note, load_notes
from envs.verdict.knowledge.tables import table
from envs.verdict.scribe import gate
from envs.verdict.scribe.edits import apply, invert
from envs.verdict.scribe.noise import FORMAL, KINDS, LEAST_KINDS, noise

NOTE = (
    "A 24-year-old woman comes to the emergency department at 8:30 pm because of a 4-hour history of headaches.",
    "Two weeks ago, she was started on Tylenol and metformin after 3 days of fever, anemia, and edema.",
    "Her blood pressure is 102/73 mm Hg, her pulse is 88/min, and an ECG is normal.",
    "On March 3, physical examination shows no flushing of the left arm.",
)
WHOLE = range(len(NOTE))
SEEDS = st.integers(0, 2**32)
PIECES = [
    "24-year-old",
    "two weeks",
    "3 days",
    "Tylenol",
    "because of",
    "physician",
    "hypertension",
    "May 3",
    "xx",
    "mg/dL",
    "anemia",
    "no fever",
    "left",
    "10 mm",
    "examination",
    ", and",
    ".",
    "8:30 pm",
    "ECG",
    "é",
]


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_undoing_the_log_gives_back_the_note_exactly_and_replaying_it_the_noisy_one(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):  # of 2,000 texts in all
        sentences = tuple(" ".join(rng.choices(PIECES, k=rng.randrange(12))) for _ in range(rng.randint(1, 3)))
        noisy, log = noise(sentences, range(len(sentences)), (), 5, rng, rng)
        assert invert(noisy, log) == sentences
        replayed: tuple[str, ...] = sentences
        for edit in log:
            assert edit.old != edit.new
            replayed = apply(replayed, edit)
        assert replayed == noisy


@pytest.mark.parametrize("note", load_notes("bundled")[::3], ids=lambda note: note.note_id)
def test_no_edit_of_a_note_changes_a_fact(note: Note) -> None:
    sentences = note.sentences
    for seed in range(6):
        now = sentences
        for edit in noise(sentences, range(len(sentences)), (), 6, random.Random(seed), random.Random(seed))[1]:
            before, now = now, apply(now, edit)
            assert hard_facts(before[edit.sentence]) == hard_facts(now[edit.sentence]), edit
            assert cosmetic(before[edit.sentence], now[edit.sentence]), edit


def hard_facts(sentence: str) -> tuple[object, ...]:
    """Numbers, ages, sides, directions, sexes and negations."""
    said = gate.facts(sentence)
    negations = Counter(word for word in sentence.lower().split() if word in table("language")["negation"])
    return (
        sorted(number for number, _unit in said.numbers),
        said.ages,
        said.sides,
        said.directions,
        said.sexes,
        negations,
    )


@given(SEEDS, st.integers(3, 8))
def test_a_note_gets_as_many_edits_as_asked_for_of_several_kinds(seed: int, count: int) -> None:
    _noisy, log = noise(NOTE, WHOLE, (), count, random.Random(seed), random.Random(seed))
    assert len(log) == count and len({edit.operator for edit in log}) >= LEAST_KINDS


@given(SEEDS)
def test_locked_sentences_stay_and_formal_ones_change_in_form_alone(seed: int) -> None:
    noisy, log = noise(NOTE, [1], [3], 6, random.Random(seed), random.Random(seed))
    assert (noisy[0], noisy[2]) == (NOTE[0], NOTE[2])
    for edit in log:
        assert edit.sentence == 1 or edit.operator.removeprefix("noise:") in FORMAL
    assert "".join(noisy[3].lower().split()).rstrip(".") == "".join(NOTE[3].lower().split()).rstrip(".")


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_finds_a_place_in_an_ordinary_note(name: str) -> None:
    spans = [(sentence, span) for sentence in NOTE for span in KINDS[name](sentence)]
    assert spans
    for sentence, (start, old, new) in spans:
        assert sentence.startswith(old, start) and old != new


def test_twins_draw_their_kinds_in_one_order() -> None:
    logs = [noise(NOTE, WHOLE, (), 4, random.Random(seed), random.Random(7))[1] for seed in (1, 2)]
    assert [edit.operator for edit in logs[0]] == [edit.operator for edit in logs[1]] and logs[0] != logs[1]
