"""The four quadrants: an endless seeded plan of twin slots, and the draft of each slot before any surface edit.

Slots 2k and 2k+1 are twins: an error and a clean note of one vignette, in an order drawn by seed. Everything that both
twins share (the source note, the locked sentences, the injected error) is drawn from the pair, never from the label.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from common.records import Record
from envs.contract.env import Slot
from envs.verdict.data.medec import Note, clean_version
from envs.verdict.knowledge.tables import content_words
from envs.verdict.scribe.edits import Edit, apply, invert
from envs.verdict.scribe.phrases import Injection, PhraseBook, decisions, pick, provable
from envs.verdict.spec import QuadrantMix

AUGMENTED = ("augmented_error", "augmented_safe")
SYNTHETIC = ("synthetic_injection", "synthetic_decoy")
SHORTEST_REWORDED = 6  # words; shorter sentences are fragments of the file's sentence splitter


class Draft(Record):
    """A note of known truth. `free` sentences may still change on the surface; all others are locked byte for byte.

    The four facts of the error are None on a clean draft. `edits` lead from the source note to `sentences`. `tier` is
    that of the injected error, `human` when a person wrote it into this very note, and empty on a clean draft. In the
    `open` sentences the Scribe's model may propose another error instead (tier C); twins have the same ones.
    """

    source: str
    sentences: tuple[str, ...]
    free: tuple[int, ...]
    edits: tuple[Edit, ...] = ()
    error_type: str | None = None
    sentence: int | None = None
    error_text: str | None = None
    corrected_text: str | None = None
    tier: str = ""
    open: tuple[int, ...] = ()


class Vignette(Record):
    """The notes of one clinical story."""

    name: str
    errors: tuple[Note, ...]
    cleans: tuple[Note, ...]


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


class Plan:
    """An endless sequence of slots over some vignettes: each vignette once an epoch and kind, shares of kinds exact.

    A kind that no vignette can give is left out, and the others have its share. Raises ValueError when none is left.
    """

    def __init__(
        self, pool: Sequence[Vignette], book: PhraseBook, mix: QuadrantMix, seed: str, split: str = "training"
    ) -> None:
        self._names = {
            AUGMENTED: [v.name for v in pool if v.errors],
            SYNTHETIC: [v.name for v in pool if v.errors or any(_injections(n, book) for n in v.cleans)],
        }
        shares = {AUGMENTED: mix.augmented_error, SYNTHETIC: mix.synthetic_decoy}
        given = {kind: share for kind, share in shares.items() if share > 0 and self._names[kind]}
        if not given:
            asked = " or ".join(" and ".join(kind) for kind, share in shares.items() if share > 0)
            raise ValueError(
                f"data.path: none of {len(pool)} {split} vignettes can give {asked}; give more notes, notes with "
                "errors, or others whose errors fit in data.phrases; medserl data check FILE says why of each note"
            )
        self._size, self._split, self._share = len(pool), split, given.get(AUGMENTED, 0.0) / sum(given.values())
        self._seed = seed
        self._orders: dict[tuple[str, str], tuple[int, list[str]]] = {}  # the current epoch of each kind

    def __str__(self) -> str:
        """How many vignettes the kinds of tasks are made of."""
        counts = [f"{len(self._names[kind])} in {kind[0].partition('_')[0]} tasks" for kind in (AUGMENTED, SYNTHETIC)]
        return f"of {self._size} {self._split} vignettes {', '.join(counts)}"

    def slot(self, index: int) -> Slot:
        """The index-th slot, from 0."""
        pair, side = divmod(index, 2)
        augmented = int(pair * self._share)  # pairs of that kind before this one
        kind = AUGMENTED if int((pair + 1) * self._share) > augmented else SYNTHETIC
        quadrant = kind[side ^ self.pair_rng(index).getrandbits(1)]
        return Slot(
            index=index,
            source=self._source(kind, augmented if kind is AUGMENTED else pair - augmented),
            kind=quadrant,
            seed=int.from_bytes(hashlib.sha256(f"{self._seed}:slot:{index}".encode()).digest()[:6], "big"),
        )

    def pair_rng(self, index: int) -> random.Random:
        """The generator that slot `index` and its twin share, at its start."""
        return random.Random(f"{self._seed}:pair:{index // 2}")

    def _source(self, kind: tuple[str, str], place: int) -> str:
        epoch, at = divmod(place, len(self._names[kind]))
        if self._orders.get(kind, (-1, []))[0] != epoch:
            order = sorted(self._names[kind])
            random.Random(f"{self._seed}:{kind[0]}:{epoch}").shuffle(order)
            self._orders[kind] = epoch, order
        return self._orders[kind][1][at]


def draft(
    vignette: Vignette, quadrant: str, book: PhraseBook, pair: random.Random, tier_c: bool = False
) -> Draft | None:
    """The note of a slot before surface edits; None when nothing can be injected. `pair` is the twins' generator.

    With `tier_c` a note that no rule and no mined phrase fits is open to the model's proposals.
    """
    if quadrant in AUGMENTED:
        return _augmented(vignette, quadrant == "augmented_error", pair)
    return _synthetic(vignette, quadrant == "synthetic_injection", book, pair, tier_c)


def with_injection(draft: Draft, injection: Injection) -> Draft:
    """`draft` with another error instead of the one it holds; what is locked stays so."""
    clean = invert(draft.sentences, draft.edits)
    at, changed = injection.edit.sentence, apply(clean, injection.edit)
    return msgspec.structs.replace(
        draft,
        sentences=changed,
        edits=(injection.edit,),
        error_type=injection.error_type,
        sentence=at,
        error_text=changed[at],
        corrected_text=clean[at],
        tier=injection.tier,
    )


def rewordable(draft: Draft, count: int, pair: random.Random) -> list[int]:
    """Up to `count` free sentences, chosen by pair and text, so twins reword the same sentences at any position."""
    salt = pair.getrandbits(64)
    long_enough = [i for i in draft.free if len(draft.sentences[i].split()) >= SHORTEST_REWORDED]
    return sorted(sorted(long_enough, key=lambda i: _rank(salt, draft.sentences[i]))[:count])


def _rank(salt: int, text: str) -> bytes:
    return hashlib.sha256(f"{salt}:{text}".encode()).digest()


def _augmented(vignette: Vignette, with_error: bool, pair: random.Random) -> Draft:
    error = pair.choice(vignette.errors)
    at, right = error.error_sentence, error.corrected_sentence
    assert at is not None and right is not None
    evidence = content_words(error.sentences[at]) | content_words(right)
    twin = pair.choice(vignette.cleans) if vignette.cleans else clean_version(error)
    if not with_error:
        focus = _closest(twin.sentences, right)
        return Draft(source=twin.note_id, sentences=twin.sentences, free=_free(twin.sentences, focus, evidence))
    return _human(error, _free(error.sentences, at, evidence))


def _human(error: Note, free: tuple[int, ...]) -> Draft:
    at = error.error_sentence
    assert at is not None
    return Draft(
        source=error.note_id,
        sentences=error.sentences,
        free=free,
        error_type=error.error_type,
        sentence=at,
        error_text=error.sentences[at],
        corrected_text=error.corrected_sentence,
        tier="human",
    )


def _synthetic(
    vignette: Vignette, with_error: bool, book: PhraseBook, pair: random.Random, tier_c: bool
) -> Draft | None:
    bases = list(vignette.cleans) or [clean_version(note) for note in vignette.errors]
    for base in pair.sample(bases, len(bases)):
        injection = pick(_injections(base, book), pair)
        if injection is not None:
            return _injected(base, injection, with_error)
    if not vignette.errors:
        return None
    error = pair.choice(vignette.errors)
    drawn = _human_twins(error, with_error)
    return _opened(drawn, clean_version(error).sentences) if tier_c else drawn


def _injections(note: Note, book: PhraseBook) -> list[Injection]:
    """An error that the note itself proves, else one that a human wrote in another note."""
    return provable(note.sentences) or book.injections(note.sentences)


def _injected(base: Note, injection: Injection, with_error: bool) -> Draft:
    at = injection.edit.sentence
    changed = apply(base.sentences, injection.edit)
    free = _free(base.sentences, at, content_words(base.sentences[at]) | content_words(changed[at]))
    if not with_error:
        return Draft(source=base.note_id, sentences=base.sentences, free=free)
    return Draft(
        source=base.note_id,
        sentences=changed,
        free=free,
        edits=(injection.edit,),
        error_type=injection.error_type,
        sentence=at,
        error_text=changed[at],
        corrected_text=base.sentences[at],
        tier=injection.tier,
    )


def _human_twins(error: Note, with_error: bool) -> Draft:
    """No rule and no mined phrase fits: the error that a human put into this very note, against its correction."""
    at, right = error.error_sentence, error.corrected_sentence
    assert at is not None and right is not None and error.error_type is not None
    edit = Edit(operator="inject:human", sentence=at, start=0, old=right, new=error.sentences[at])
    return _injected(clean_version(error), Injection(edit=edit, error_type=error.error_type, tier="human"), with_error)


def _opened(drawn: Draft, clean: Sequence[str]) -> Draft:
    """Every decision is open to a proposal, so both twins lock decisions and sentences that share words with one."""
    open_ = tuple(decisions(clean))
    evidence = frozenset[str]().union(*(content_words(clean[i]) for i in open_))
    free = tuple(i for i in drawn.free if i not in open_ and not content_words(clean[i]) & evidence)
    return msgspec.structs.replace(drawn, open=open_, free=free)


def _free(sentences: Sequence[str], focus: int, evidence: frozenset[str]) -> tuple[int, ...]:
    """Sentences that are neither the decision nor share a content word with it."""
    return tuple(i for i, s in enumerate(sentences) if i != focus and not content_words(s) & evidence)


def _closest(sentences: Sequence[str], right: str) -> int:
    """The sentence of a clean twin at the position of the error in its sibling."""
    wanted = content_words(right)

    def likeness(number: int) -> float:
        own = content_words(sentences[number])
        return len(own & wanted) / max(1, len(own | wanted))

    return max(range(len(sentences)), key=likeness)
