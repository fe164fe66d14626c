from __future__ import annotations

import msgspec

from envs.verdict.data.medec import Note, load_notes
from envs.verdict.scribe.edits import Edit, apply
from envs.verdict.scribe.injector import Injector, Vignette, annotated, is_new, vignettes
from envs.verdict.scribe.phrases import PhraseBook, mine

STORIES = vignettes(load_notes("bundled"))
INJECTOR = Injector(mine(note for story in STORIES.values() for note in story.errors))


def error_note(note_id: str, vignette: str, error: str, corrected: str) -> Note:
    sentences = ("The patient has a fever.", error)
    return Note(
        note_id=note_id,
        vignette=vignette,
        sentences=sentences,
        raw_sentences=sentences,
        error_type="diagnosis",
        error_sentence=1,
        corrected_sentence=corrected,
    )


ONE = error_note("a", "one", "A migraine is diagnosed.", "An abscess is diagnosed.")
OTHER = error_note("b", "two", "Sinusitis is suspected.", "An abscess is suspected.")
SAME = error_note("c", "three", "Migraine is suspected.", "Abscess is suspected.")


def changed(injector: Injector, story: Vignette) -> set[str]:
    return {
        apply(base.note.sentences, one.edit)[one.edit.sentence]
        for base in injector.bases(story)
        for one in base.injections
    }


def test_a_phrase_of_the_notes_own_vignette_is_never_used_on_it() -> None:
    story = Vignette(name="one", errors=(ONE,), cleans=())
    assert changed(Injector(mine([ONE])), story) == set()
    assert changed(Injector(mine([ONE, OTHER])), story) == {"Sinusitis is diagnosed."}


def test_nor_is_the_same_phrase_of_another_vignette() -> None:
    assert changed(Injector(mine([SAME])), Vignette(name="one", errors=(ONE,), cleans=())) == set()


def test_every_injection_of_the_bundled_notes_is_new() -> None:
    for story in STORIES.values():
        wrong = {error.sentences[error.error_sentence].lower() for error in story.errors if error.error_sentence}
        for sentence in changed(INJECTOR, story):
            assert sentence.lower() not in wrong


def test_the_bundled_notes_take_three_hundred_new_errors() -> None:
    found = {(name, sentence) for name, story in STORIES.items() for sentence in changed(INJECTOR, story)}
    assert len(found) >= 300


def test_what_the_error_note_says_is_not_new_at_another_place_either() -> None:
    sentences = ("An abscess is feared.", "An abscess is diagnosed.")
    back = Edit(operator="x", sentence=0, start=0, old="An abscess", new="A migraine")
    assert not is_new(back, sentences, [ONE])
    assert is_new(msgspec.structs.replace(back, new="A stroke"), sentences, [ONE])


def test_a_decision_has_the_type_of_the_error_that_humans_put_into_it() -> None:
    assert annotated("The team thinks of an abscess.", [ONE]) == "diagnosis"
    assert annotated("The team thinks of gout.", [ONE]) is None


def test_without_phrases_the_rules_alone_find_errors() -> None:
    alone = Injector(PhraseBook([]))
    assert {one.tier for story in STORIES.values() for base in alone.bases(story) for one in base.injections} == {"A"}
