from __future__ import annotations

import csv
import math
import re
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from envs.conformance.leak_probe import auc
from envs.verdict.data.medec import ERROR_TYPES, Note, bundled_path, clean_version, load_notes

NOTES = load_notes("bundled")
ERRORS = [note for note in NOTES if note.is_error]
CLEAN = [note for note in NOTES if not note.is_error]


def words(note: Note) -> set[str]:
    return set(re.findall(r"[a-z]+", note.text.lower()))


def twins() -> list[tuple[Note, Note]]:
    clean = {note.vignette: note for note in CLEAN}
    return [(note, clean[note.vignette]) for note in ERRORS]


def test_every_row_loads_and_there_are_sixty_twins() -> None:
    with bundled_path().open(encoding="utf-8", newline="") as rows:
        assert len(list(csv.DictReader(rows))) == len(NOTES) == 120
    by_vignette = defaultdict(list)
    for note in NOTES:
        by_vignette[note.vignette].append(note.is_error)
    assert len(by_vignette) == 60
    assert all(sorted(flags) == [False, True] for flags in by_vignette.values())


def test_types_are_spread_like_the_readme_says() -> None:
    share = Counter(note.error_type for note in ERRORS)
    expected = dict(zip(ERROR_TYPES, (0.40, 0.25, 0.12, 0.13, 0.10), strict=True))
    assert {name: share[name] / len(ERRORS) for name in ERROR_TYPES} == pytest.approx(expected, abs=0.02)


def test_the_error_is_last_in_about_six_of_ten_notes() -> None:
    last = sum(note.error_sentence == len(note.sentences) - 1 for note in ERRORS)
    assert 0.5 <= last / len(ERRORS) <= 0.7


def test_no_text_occurs_twice_and_no_clean_note_is_a_corrected_one() -> None:
    texts = [note.text for note in NOTES] + [clean_version(note).text for note in ERRORS]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("pair", twins(), ids=lambda pair: pair[0].note_id)
def test_twins_share_at_least_half_of_their_sentences(pair: tuple[Note, Note]) -> None:
    error, clean = (set(note.sentences) for note in pair)
    assert 2 * len(error & clean) >= max(len(error), len(clean))


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note.note_id)
def test_notes_have_the_size_of_a_vignette(note: Note) -> None:
    assert 5 <= len(note.sentences) <= 9
    assert 65 <= len(note.text.split()) <= 150
    assert note.text.isprintable()


@pytest.mark.parametrize("note", ERRORS, ids=lambda note: note.note_id)
def test_the_correction_swaps_one_span(note: Note) -> None:
    assert all(1 <= len(span.split()) <= 9 for span in swapped(note))


def test_order_and_parity_do_not_tell_the_label() -> None:
    flags = [note.is_error for note in NOTES]
    assert abs(sum(flags[::2]) - sum(flags[1::2])) <= 12
    assert abs(sum(flags[:60]) - sum(flags[60:])) <= 12
    assert 40 <= sum(a != b for a, b in pairwise(flags)) <= 80


def test_no_frequent_word_prefers_a_label() -> None:
    in_error, in_clean = (Counter(word for note in notes for word in words(note)) for notes in (ERRORS, CLEAN))
    frequent = [word for word in in_error | in_clean if in_error[word] + in_clean[word] >= 12]
    assert len(frequent) > 50
    assert all(0.25 <= in_error[word] / (in_error[word] + in_clean[word]) <= 0.75 for word in frequent)


def test_a_bag_of_words_cannot_tell_the_label_of_a_held_out_vignette() -> None:
    # Opposed couples (A for B, B for A) are held out together: one alone would teach the reverse of the other.
    couple = {note.vignette: " ".join(sorted(swapped(note))) for note in ERRORS}
    folds = {name: index % 10 for index, name in enumerate(sorted(set(couple.values())))}
    fold = {note.note_id: folds[couple[note.vignette]] for note in NOTES}
    scores = [naive_bayes([n for n in NOTES if fold[n.note_id] != fold[note.note_id]], note) for note in NOTES]
    assert 0.4 <= auc(scores, [note.is_error for note in NOTES]) <= 0.6


def swapped(note: Note) -> tuple[str, str]:
    """The wrong span and the right one, in lower case."""
    assert note.error_sentence is not None and note.corrected_sentence is not None
    wrong, right = (text.lower().split() for text in (note.sentences[note.error_sentence], note.corrected_sentence))
    while wrong[0] == right[0]:
        del wrong[0], right[0]
    while wrong[-1] == right[-1]:
        del wrong[-1], right[-1]
    return " ".join(wrong).strip(".,;"), " ".join(right).strip(".,;")


def naive_bayes(train: list[Note], note: Note) -> float:
    """Log-odds that `note` is an error note, Bernoulli naive Bayes over its words with add-one smoothing."""
    odds = 0.0
    for sign, flag in ((1, True), (-1, False)):
        side = [words(other) for other in train if other.is_error == flag]
        seen = Counter(word for found in side for word in found)
        odds += sign * sum(math.log((seen[word] + 1) / (len(side) + 2)) for word in words(note))
    return odds
