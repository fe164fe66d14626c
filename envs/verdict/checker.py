"""An independent checker of labels: is the label of a task true, given only the source notes and the edit log?

It shares the loader, the tables and the split with the generator, but none of its rules: the log is undone here, every
edit except a model's rewording is classified by what it changes and not by its name, and each injected error is proved
again.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from common.records import LabelledTask, Record
from envs.verdict.cosmetic import cosmetic
from envs.verdict.data.medec import Note, split_of
from envs.verdict.data.rows import ERROR_TYPES
from envs.verdict.data.sources import gather
from envs.verdict.knowledge.tables import content_words
from envs.verdict.proofs import because, name_of, proofs
from envs.verdict.scribe.edits import Edit
from envs.verdict.spec import VerdictSettings
from envs.verdict.telling import is_retelling, order_fault, retelling_fault
from envs.verdict.wordings import says_alike

_TOKEN = re.compile(r"\w+|[^\w\s]")
ERROR_QUADRANTS = {0: "augmented_error", 1: "synthetic_injection"}  # by the number of edits that change the meaning


def make(settings: VerdictSettings) -> Checker:
    """The checker of tasks made with these settings. Raises ValueError, one line, when the notes cannot be read."""
    data = settings.data
    sources = gather(data)
    return Checker(sources.notes, data.heldout, data.tier_c, sources.phrases)


class _Human(Record):
    """An error that a person wrote: the sentences in lower case, and the words in which they differ."""

    note_id: str
    error_type: str
    wrong: str
    right: str
    added: Counter[str]
    removed: Counter[str]


class Checker:
    """Holds the notes, and error notes of other files whose phrases may be used; `disagreement` is called with each
    task."""

    def __init__(
        self, notes: Iterable[Note], heldout: float, tier_c: bool = False, phrases: Iterable[Note] = ()
    ) -> None:
        held = list(notes)
        self._tier_c = tier_c
        self._clean = {note.note_id: note for note in held if not note.is_error}
        self._error = {note.note_id: note for note in held if note.is_error}
        self._stories = defaultdict[str, list[_Human]](list)
        for note in self._error.values():
            self._stories[note.vignette].append(_human(note))
        train = [name for name in self._stories if split_of(name, heldout) == "train"]
        self._humans = [human for name in train for human in self._stories[name]] + [_human(note) for note in phrases]

    def disagreement(self, labelled: LabelledTask) -> str | None:
        """Why the label is not what the source and the log say, or None when it is."""
        task, truth = labelled.task, labelled.label.truth
        found = self._source(task.provenance.source)
        if found is None:
            return f"the source {task.provenance.source} is no note of the file"
        source, error = found
        log, order = msgspec.convert(truth["edits"], tuple[Edit, ...]), list(truth.get("order", ()))
        if fault := order_fault(source, order):
            return fault
        states = _states(_in_own_order(task.context["sentences"], order), log)
        if states is None or states[0] != source:
            return "undoing the log does not give the source byte for byte"
        steps = [
            (edit, one[edit.sentence], two[edit.sentence])
            for edit, one, two in zip(log, states, states[1:], strict=False)
        ]
        meant = [edit for edit, one, two in steps if not (cosmetic(one, two) or _reworded(edit, one, two))]
        if task.provenance.kind.startswith("augmented"):
            changes = [edit for edit in meant if is_retelling(edit)]
            meant = [edit for edit in meant if edit not in changes]
            if fault := retelling_fault(source, changes, self._evidence(task.provenance.source)):
                return fault
        if (meant and error is not None) or len(meant) > 1:
            return f"{len(meant)} edits change the meaning of the note {task.provenance.source}"
        derived = self._injected(states, meant[0], labelled) if meant else _written(error)
        return derived if isinstance(derived, str) else _compare(labelled, derived, len(meant), order)

    def proof(self, labelled: LabelledTask) -> str:
        """Why the injected error of this task is one, for a reader: rows of the tables, or who wrote it before."""
        log = msgspec.convert(labelled.label.truth["edits"], tuple[Edit, ...])
        injected = [edit for edit in log if edit.operator.startswith("inject:")]
        found = self._source(labelled.task.provenance.source)
        if not injected or found is None:
            return ""
        swap, source = injected[0], found[0]
        rows = because(source, swap.new)
        if rows:
            return "; ".join(f"{' and '.join(row.wrong)} ({row.source})" for row in rows)
        writers = [human.note_id for human in self._humans if _wrote(human, swap, labelled.label.truth["error_type"])]
        if writers:
            return f"a person wrote it where {swap.old!r} was right, in {', '.join(writers[:3])}"
        kinds = ", ".join(sorted(proofs(source, swap.sentence, swap.old, swap.new)))
        return f"a statement of the note ({kinds})" if kinds else "none here: the verifier's word alone"

    def _source(self, name: str) -> tuple[list[str], Note | None] | None:
        """The sentences of a source by its name, and the note whose error they hold."""
        if name in self._clean:
            return list(self._clean[name].sentences), None
        if name in self._error:
            return list(self._error[name].sentences), self._error[name]
        note = self._error.get(name.removesuffix("-corrected"))
        if note is None or note.error_sentence is None or note.corrected_sentence is None:
            return None
        sentences = list(note.sentences)
        sentences[note.error_sentence] = note.corrected_sentence
        return sentences, None

    def _injected(self, states: Sequence[list[str]], swap: Edit, labelled: LabelledTask) -> dict[str, object] | str:
        """The facts of an injected error, or why it is not proved to be one."""
        task = labelled.task
        tier, claimed = task.provenance.tier, str(labelled.label.truth["error_type"])
        source = task.provenance.source
        story = (self._clean.get(source) or self._error[source.removesuffix("-corrected")]).vignette
        if tier == "A":
            proved = claimed in proofs(
                states[0], swap.sentence, swap.old, swap.new, self._annotated(story, states[0], swap)
            )
        elif tier == "C":
            proved = self._tier_c and _proposed(states[0], swap, labelled)
        else:
            proved = any(_wrote(human, swap, claimed) for human in self._humans)
        if any(_is_old(human, swap, states[1][swap.sentence]) for human in self._stories[story]):
            return f"{swap.old!r} -> {swap.new!r} puts back an error of the note's own vignette"
        if not proved:
            return f"nothing proves that {swap.old!r} -> {swap.new!r} is an error of type {claimed} (tier {tier!r})"
        return {
            "error_type": claimed,
            "sentence": swap.sentence,
            "error_text": states[-1][swap.sentence],
            "corrected_text": states[0][swap.sentence],
        }

    def _evidence(self, name: str) -> frozenset[str]:
        """The content words of the decision in which the error of this source lies; of a clean note none is known."""
        note = self._error.get(name.removesuffix("-corrected"))
        if note is None or note.error_sentence is None or note.corrected_sentence is None:
            return frozenset()
        return content_words(note.sentences[note.error_sentence]) | content_words(note.corrected_sentence)

    def _annotated(self, story: str, source: Sequence[str], swap: Edit) -> str | None:
        """The type that the annotators gave to the error that they put into this very sentence."""
        said = source[swap.sentence].lower()
        tokens = Counter(_TOKEN.findall(said))
        for human in self._stories[story]:
            put_in = Counter({word: n for word, n in human.removed.items() if word.isalnum()})
            if said == human.right or (put_in and put_in <= tokens):
                return human.error_type
        return None


def _proposed(source: Sequence[str], swap: Edit, labelled: LabelledTask) -> bool:
    """Is the only error one that a model proposed, of a known type, recorded as such, and absent from the source note?

    That it is an error is the verifier's judgement and cannot be proved here.
    """
    return (
        swap.operator == "inject:C"
        and labelled.task.provenance.operators.count(swap.operator) == 1
        and labelled.task.provenance.model_written
        and labelled.label.truth["error_type"] in ERROR_TYPES
        and re.search(rf"(?<!\w){re.escape(name_of(swap.new))}(?!\w)", " ".join(source).lower()) is None
    )


def _reworded(edit: Edit, before: str, after: str) -> bool:
    """Is this a model's wording of a whole sentence? It cannot be proved the same: numbers and negations must agree.

    This leans on the operator's name, so a rewording of the decision sentence itself is for `_compare` to find.
    """
    if edit.operator != "reword:model" or (edit.old, edit.new) != (before, after):
        return False
    return says_alike(before, after)


def _in_own_order(told: Sequence[str], order: Sequence[int]) -> list[str]:
    """The sentences by the numbers that they have in the source."""
    by_number = dict(zip(order or range(len(told)), told, strict=True))
    return [by_number[number] for number in range(len(told))]


def _states(final: Sequence[str], log: Sequence[Edit]) -> list[list[str]] | None:
    """The note before the first edit, after it, ... and at last; None when an edit of the log is not in the note."""
    states = [list(final)]
    for edit in reversed(log):
        before = list(states[0])
        text, end = before[edit.sentence], edit.start + len(edit.new)
        if text[edit.start : end] != edit.new:
            return None
        before[edit.sentence] = text[: edit.start] + edit.old + text[end:]
        states.insert(0, before)
    return states


def _written(error: Note | None) -> dict[str, object]:
    """The facts of a note that no edit changed in meaning."""
    if error is None or error.error_sentence is None:
        return dict.fromkeys(("error_type", "sentence", "error_text", "corrected_text"))
    return {
        "error_type": error.error_type,
        "sentence": error.error_sentence,
        "error_text": error.sentences[error.error_sentence],
        "corrected_text": error.corrected_sentence,
    }


def _compare(labelled: LabelledTask, derived: Mapping[str, object], meant: int, order: Sequence[int]) -> str | None:
    truth, task = labelled.label.truth, labelled.task
    sentences, quadrant = task.context["sentences"], task.provenance.kind
    at = derived["sentence"]
    if isinstance(at, int):
        at = order.index(at) if order else at
        derived = {**derived, "sentence": at}
    for field, value in {**derived, "sentence_count": len(sentences)}.items():
        if truth[field] != value:
            return f"label's {field} is {truth[field]!r}, the source and the log say {value!r}"
    if isinstance(at, int) and sentences[at] != derived["error_text"]:
        return f"sentence {at} is not the error of the label"
    quadrants = ("augmented_safe", "synthetic_decoy") if at is None else (ERROR_QUADRANTS[meant],)
    if quadrant not in quadrants or (at is None) != (task.provenance.tier == ""):
        return f"quadrant {quadrant} and tier {task.provenance.tier!r} do not fit a note that is {quadrants[0]}"
    return None


def _human(note: Note) -> _Human:
    assert note.error_type is not None and note.error_sentence is not None and note.corrected_sentence is not None
    wrong, right = note.sentences[note.error_sentence].lower(), note.corrected_sentence.lower()
    one, two = Counter(_TOKEN.findall(wrong)), Counter(_TOKEN.findall(right))
    return _Human(
        note_id=note.note_id,
        error_type=note.error_type,
        wrong=wrong,
        right=right,
        added=one - two,
        removed=two - one,
    )


def _wrote(human: _Human, swap: Edit, error_type: str) -> bool:
    """Did this person write `new` where `old` was right? If so, the spans hold all words that differ."""
    was, now = name_of(swap.old), name_of(swap.new)
    if human.error_type != error_type or now not in human.wrong or was not in human.right:
        return False
    inside = Counter(_TOKEN.findall(swap.new.lower())), Counter(_TOKEN.findall(swap.old.lower()))
    return all(_plain(said) <= span for said, span in zip((human.added, human.removed), inside, strict=True))


def _is_old(human: _Human, swap: Edit, changed: str) -> bool:
    """Did this person write the same sentence, or the same words where they were wrong?"""
    written = Counter(_TOKEN.findall(swap.new.lower())) - Counter(_TOKEN.findall(swap.old.lower()))
    said = Counter({word: n for word, n in written.items() if word.isalnum()})
    return changed.lower() == human.wrong or (bool(said) and said <= human.added)


def _plain(words: Counter[str]) -> Counter[str]:
    """Without articles and punctuation, which a swap adapts to its place."""
    return Counter({word: n for word, n in words.items() if word not in ("a", "an", "the") and word.isalnum()})
