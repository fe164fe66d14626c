"""Every new error that the notes of a vignette can take: found once, drawn from often.

New means that no human put it there: an error that the vignette's own error notes hold belongs to the quadrant of
augmented errors, whatever rule or other note would give it too.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from common.records import Record
from envs.verdict.data.medec import Note, clean_version
from envs.verdict.scribe.artefacts import artefact
from envs.verdict.scribe.contradictions import contradicted
from envs.verdict.scribe.edits import Edit, apply
from envs.verdict.scribe.phrases import Injection, PhraseBook, provable
from envs.verdict.scribe.places import misplaced

_TOKEN = re.compile(r"\w+")


class Vignette(Record):
    """The notes of one clinical story."""

    name: str
    errors: tuple[Note, ...]
    cleans: tuple[Note, ...]

    @property
    def bases(self) -> tuple[Note, ...]:
        """The clean notes of the story; of one that has none, its error notes with their corrections."""
        return self.cleans or tuple(map(clean_version, self.errors))


class Base(Record):
    """A clean note and the new errors that it can take, at least one."""

    note: Note
    injections: tuple[Injection, ...]


def vignettes(notes: Iterable[Note]) -> dict[str, Vignette]:
    """Notes grouped by vignette, by name; file order is forgotten."""
    groups: dict[str, list[Note]] = defaultdict(list)
    for note in sorted(notes, key=lambda n: (n.vignette, n.sentences)):
        groups[note.vignette].append(note)
    return {
        name: Vignette(
            name=name,
            errors=tuple(n for n in group if n.is_error),
            cleans=tuple(n for n in group if not n.is_error),
        )
        for name, group in groups.items()
    }


class Injector:
    """New errors by vignette, from the rules and from what humans wrote in the notes of other vignettes."""

    def __init__(self, book: PhraseBook) -> None:
        self._book = book
        self._found: dict[str, tuple[Base, ...]] = {}

    def that_say(self, vignette: Vignette, error_type: str | None, phrase: str | None) -> tuple[Base, ...]:
        """The clean notes of the vignette that take a new error of that type and phrase, with those errors alone."""
        only = (
            Base(
                note=base.note,
                injections=tuple(i for i in base.injections if (i.error_type, i.phrase) == (error_type, phrase)),
            )
            for base in self.bases(vignette)
        )
        return tuple(base for base in only if base.injections)

    def bases(self, vignette: Vignette) -> tuple[Base, ...]:
        """The clean notes of the vignette that take a new error."""
        if vignette.name not in self._found:
            self._found[vignette.name] = tuple(
                Base(note=note, injections=tuple(new))
                for note in vignette.bases
                for new in [self._new(note, vignette)]
                if new
            )
        return self._found[vignette.name]

    def _new(self, note: Note, vignette: Vignette) -> list[Injection]:
        types = ((at, annotated(said, vignette.errors)) for at, said in enumerate(note.sentences))
        found = (
            *_by_rule(note.sentences, tuple((at, kind) for at, kind in types if kind)),
            *self._book.injections(note.sentences, vignette.name),
        )
        return [
            one
            for one in dict.fromkeys(found)
            if is_new(one.edit, note.sentences, vignette.errors) and _is_plain(one.edit, note.sentences)
        ]


@lru_cache(maxsize=4096)
def _by_rule(sentences: tuple[str, ...], types: tuple[tuple[int, str], ...]) -> tuple[Injection, ...]:
    """What the rules give, which is the same for every environment of this process that reads the note."""
    return (*provable(sentences), *contradicted(sentences, dict(types)))


def _is_plain(edit: Edit, sentences: Sequence[str]) -> bool:
    sentence = sentences[edit.sentence]
    if misplaced(sentences, edit) is not None:
        return False
    return artefact(sentence, apply(sentences, edit)[edit.sentence], edit) is None


def annotated(sentence: str, errors: Sequence[Note]) -> str | None:
    """The type that humans gave to an error in this decision: the sentence has the words that the correction put in."""
    for error in errors:
        at, right = error.error_sentence, error.corrected_sentence
        assert at is not None and right is not None
        put_in = _words(right) - _words(error.sentences[at])
        if sentence == right or (put_in and put_in <= _words(sentence)):
            return error.error_type
    return None


def is_new(edit: Edit, sentences: Sequence[str], errors: Sequence[Note]) -> bool:
    """Does `edit` of the clean note `sentences` say something that none of its vignette's own `errors` says?"""
    added = _words(edit.new) - _words(edit.old)
    changed = apply(sentences, edit)[edit.sentence].lower()
    return not any(_says(added, changed, error) for error in errors)


def _says(added: Counter[str], changed: str, error: Note) -> bool:
    """Does the error note hold the changed sentence, or are the added words among those that its error added?"""
    at, right = error.error_sentence, error.corrected_sentence
    assert at is not None and right is not None
    wrong = error.sentences[at]
    return changed == wrong.lower() or (bool(added) and added <= _words(wrong) - _words(right))


def _words(text: str) -> Counter[str]:
    return Counter(_TOKEN.findall(text.lower()))
