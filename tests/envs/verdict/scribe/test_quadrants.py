from __future__ import annotations

import random
from collections import Counter
from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.verdict.data.medec import Note, clean_version, load_notes
from envs.verdict.knowledge.tables import content_words
from envs.verdict.scribe.edits import invert
from envs.verdict.scribe.injector import Injector, Vignette, vignettes
from envs.verdict.scribe.phrases import PhraseBook, mine
from envs.verdict.scribe.quadrants import AUGMENTED, SYNTHETIC, Draft, Plan, draft, rewordable
from envs.verdict.spec import QuadrantMix

NOTES = load_notes("bundled")
STORIES = vignettes(NOTES)
INJECTOR = Injector(mine(NOTES))
EMPTY = Injector(PhraseBook([]))
INDEX = st.integers(0, 10_000)


@cache
def plan(mix: QuadrantMix | None = None, seed: str = "0") -> Plan:
    return Plan(list(STORIES.values()), INJECTOR, mix or QuadrantMix(), seed)


def only_clean(note: Note) -> Vignette:
    return Vignette(name="v", errors=(), cleans=(clean_version(note),))


@given(INDEX)
def test_slots_2k_and_2k_plus_1_are_twins(pair: int) -> None:
    first, second = plan().slot(2 * pair), plan().slot(2 * pair + 1)
    assert first.source == second.source
    assert {first.kind, second.kind} in (set(AUGMENTED), set(SYNTHETIC))
    assert first.seed != second.seed


def test_equal_indices_give_equal_slots_in_any_order() -> None:
    forward, backward = plan(), plan()
    assert [forward.slot(i) for i in range(300)] == [backward.slot(i) for i in reversed(range(300))][::-1]


def test_every_vignette_comes_once_an_epoch() -> None:
    slots = [plan().slot(i) for i in range(0, 4 * len(STORIES), 2)]
    augmented = [slot.source for slot in slots if slot.kind in AUGMENTED]
    assert sorted(augmented) == sorted(STORIES)


def test_quadrants_come_in_exactly_the_shares_asked_for() -> None:
    mix = QuadrantMix(augmented_error=0.4, augmented_safe=0.4, synthetic_decoy=0.1, synthetic_injection=0.1)
    drawn = [plan(mix).slot(i).kind for i in range(1000)]
    assert {name: drawn.count(name) for name in set(drawn)} == {
        "augmented_error": 400,
        "augmented_safe": 400,
        "synthetic_decoy": 100,
        "synthetic_injection": 100,
    }


def test_the_error_is_first_in_about_half_of_the_pairs() -> None:
    errors = sum(plan().slot(i).kind in ("augmented_error", "synthetic_injection") for i in range(0, 1000, 2))
    assert 200 < errors < 300


def test_file_order_does_not_change_the_plan() -> None:
    shuffled = random.Random(1).sample(NOTES, len(NOTES))
    assert vignettes(shuffled) == STORIES


def test_a_plan_without_errors_to_show_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="none of 1 training vignettes can give augmented_error and augmented_safe or"):
        Plan([only_clean(next(n for n in NOTES if n.is_error))], EMPTY, QuadrantMix(), "0")


def story_note(name: str, sentences: tuple[str, ...], right: str) -> Note:
    at = len(sentences) - 1
    return msgspec.structs.replace(
        NOTES[0],
        note_id=name,
        vignette="v",
        sentences=sentences,
        error_type="diagnosis",
        error_sentence=at,
        corrected_sentence=right,
    )


TAKERS = sorted(name for name, story in STORIES.items() if INJECTOR.bases(story))


def drawn(story: Vignette, quadrant: str, seed: object) -> Draft | None:
    return draft(story, quadrant, INJECTOR.bases(story), random.Random(str(seed)))


@pytest.mark.parametrize("name", TAKERS)
def test_twins_of_every_story_differ_in_truth_and_share_their_locks(name: str) -> None:
    for wrong, right in (AUGMENTED, SYNTHETIC):
        error, clean = (drawn(STORIES[name], quadrant, name) for quadrant in (wrong, right))
        assert error is not None and clean is not None
        assert clean.error_type is clean.sentence is clean.error_text is clean.corrected_text is None
        assert error.sentence is not None and error.sentence not in error.free
        assert error.sentences[error.sentence] == error.error_text != error.corrected_text
        evidence = content_words(f"{error.error_text} {error.corrected_text}")
        for note in (error, clean):
            assert not any(content_words(note.sentences[i]) & evidence for i in note.free)


def test_evidence_of_every_error_of_a_story_is_locked_in_each_of_its_notes() -> None:
    """The clean note may be the correction of another error note than the one that was drawn."""
    told = ("A man has a mass in the breast.", "He is well.", "He says so again.")
    one = story_note("n-1", (*told, "He has a fibroadenoma."), "The mass is a sarcoma.")
    two = story_note("n-2", (*told, "He has a carcinoma."), "He has a sarcoma.")
    story = Vignette(name="v", errors=(one, two), cleans=(clean_version(one), clean_version(two)))
    for seed in range(20):
        for quadrant in AUGMENTED:
            made = draft(story, quadrant, (), random.Random(seed))
            assert made is not None and 0 not in made.free


@pytest.mark.parametrize("name", TAKERS)
def test_a_synthetic_error_undone_is_its_decoy(name: str) -> None:
    error, decoy = (drawn(STORIES[name], quadrant, 3) for quadrant in SYNTHETIC)
    assert error is not None and decoy is not None
    assert invert(error.sentences, error.edits) == decoy.sentences
    assert (error.source, error.free) == (decoy.source, decoy.free)


def test_an_error_of_the_slots_type_is_injected_or_nothing_is() -> None:
    for index in range(0, 400, 2):
        kind = plan().error_type(index)
        slot = plan().slot(index)
        if kind is not None:
            bases = INJECTOR.that_say(STORIES[slot.source], kind, plan().phrase(index))
            made = draft(STORIES[slot.source], "synthetic_injection", bases, random.Random(index))
            assert made is not None and made.error_type == kind


def test_types_come_in_the_shares_of_the_humans_errors_as_far_as_there_are_new_ones() -> None:
    drawn = Counter(kind for index in range(0, 800, 2) if (kind := plan().error_type(index)))
    own = Counter(note.error_type for note in NOTES if note.is_error and note.error_type in drawn)
    assert len(drawn) >= 3
    assert all(abs(drawn[kind] / drawn.total() - own[kind] / own.total()) < 0.05 for kind in drawn)


def test_a_clean_story_that_no_rule_fits_gives_no_draft() -> None:
    story = next(story for story in STORIES.values() if not INJECTOR.bases(story))
    assert draft(story, "synthetic_injection", (), random.Random(0)) is None


@given(st.integers(0, 50), st.integers(0, 4))
def test_twins_reword_the_same_sentences_at_any_position(seed: int, count: int) -> None:
    story = list(STORIES.values())[seed]
    made = draft(story, "augmented_safe", (), random.Random(seed))
    assert made is not None
    moved = random.Random(seed).sample(range(len(made.sentences)), len(made.sentences))
    twin = Draft(
        source="twin",
        sentences=tuple(made.sentences[i] for i in moved),
        free=tuple(new for new, old in enumerate(moved) if old in made.free),
    )
    one, two = ([note.sentences[i] for i in rewordable(note, count, random.Random(seed))] for note in (made, twin))
    assert sorted(one) == sorted(two) and len(one) <= count
