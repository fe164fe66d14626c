"""The four quadrants: an endless seeded plan of twin slots, and the draft of each slot before any surface edit.

Slots 2k and 2k+1 are twins: an error and a clean note of one vignette, in an order drawn by seed. Everything that both
twins share (the source note, the locked sentences, the injected error) is drawn from the pair, never from the label.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from common.records import Record
from envs.contract.env import Slot
from envs.verdict.data.medec import Note, clean_version
from envs.verdict.knowledge.tables import WORD, content_words
from envs.verdict.scribe import retelling
from envs.verdict.scribe.edits import Edit, apply, invert
from envs.verdict.scribe.evidence import closest, evidence_of, free_of
from envs.verdict.scribe.injector import Base, Injector, Vignette
from envs.verdict.scribe.phrases import TYPE_WEIGHTS, Injection, decisions, pick
from envs.verdict.scribe.schedule import Offer, Schedule
from envs.verdict.spec import QuadrantMix

AUGMENTED = ("augmented_error", "augmented_safe")
SYNTHETIC = ("synthetic_injection", "synthetic_decoy")
CYCLE = 100  # synthetic pairs after which the types have their shares
SHORTEST_REWORDED = 6  # words; shorter sentences are fragments of the file's sentence splitter


class Flaw(Record):
    """The error that the twin of a clean note holds."""

    error_type: str
    error_text: str
    corrected_text: str


class Draft(Record):
    """A note of known truth. `free` sentences may still change on the surface; all others are locked byte for byte, but
    that `formal` ones may change in case, blanks and stops.

    The four facts of the error are None on a clean draft. `edits` lead from the source note to `sentences`. `tier` is
    that of the injected error, `human` when a person wrote it into this very note, and empty on a clean draft. In the
    `open` sentences the Scribe's model may propose another error instead (tier C); twins have the same ones.
    `focus` is the sentence of the decision that the twins differ in, and `order` that in which the sentences are told.
    `retold` are the kinds of changes to who the patient is that both twins take. `twin` is None on an error draft, and
    where the model may write the twin's error.
    """

    source: str
    sentences: tuple[str, ...]
    free: tuple[int, ...]
    formal: tuple[int, ...] = ()
    edits: tuple[Edit, ...] = ()
    error_type: str | None = None
    sentence: int | None = None
    error_text: str | None = None
    corrected_text: str | None = None
    tier: str = ""
    open: tuple[int, ...] = ()
    focus: int | None = None
    order: tuple[int, ...] = ()
    retold: frozenset[str] = frozenset()
    twin: Flaw | None = None


class Plan:
    """An endless sequence of slots over some vignettes, shares of kinds exact.

    Augmented slots take each vignette once an epoch. Synthetic slots come in the mix of types that the humans' errors
    of these vignettes have, as far as new errors of a type exist; `schedule.py` says which vignette takes which error.
    A kind that no vignette can give is left out, and the others have its share. Raises ValueError when none is left.
    """

    def __init__(
        self, pool: Sequence[Vignette], injector: Injector, mix: QuadrantMix, seed: str, split: str = "training"
    ) -> None:
        self._size, self._split, self._seed = len(pool), split, seed
        self._order: tuple[int, list[str]] = (-1, [])  # the current epoch of the augmented vignettes
        self._names = [v.name for v in pool if v.errors]
        offers = _offers(pool, injector) if mix.synthetic_decoy > 0 else {}
        self._schedules = {name: Schedule(found, len(pool), f"{seed}:{name}") for name, found in offers.items()}
        shares = {AUGMENTED: mix.augmented_error, SYNTHETIC: mix.synthetic_decoy}
        can = {AUGMENTED: self._names, SYNTHETIC: list(offers)}
        given = {kind: share for kind, share in shares.items() if share > 0 and can[kind]}
        if not given:
            asked = " or ".join(" and ".join(kind) for kind, share in shares.items() if share > 0)
            raise ValueError(
                f"data.path: none of {len(pool)} {split} vignettes can give {asked}; give more notes, notes with "
                "errors, or others whose errors fit in data.phrases; medserl data check FILE says why of each note"
            )
        self._share = given.get(AUGMENTED, 0.0) / sum(given.values())
        self._injected = len({one.vignette for found in offers.values() for one in found})
        self._types = _cycle(sorted(offers), _weights(pool))

    def __str__(self) -> str:
        """How many vignettes the kinds of tasks are made of."""
        kinds = f"{len(self._names)} in augmented tasks, {self._injected} in synthetic tasks"
        return f"of {self._size} {self._split} vignettes {kinds}"

    def slot(self, index: int) -> Slot:
        """The index-th slot, from 0."""
        kind, place = self._kind(index)
        quadrant = kind[index % 2 ^ self.pair_rng(index).getrandbits(1)]
        return Slot(
            index=index,
            source=self._source(place) if kind is AUGMENTED else self._scheduled(place)[0],
            kind=quadrant,
            seed=int.from_bytes(hashlib.sha256(f"{self._seed}:slot:{index}".encode()).digest()[:6], "big"),
        )

    def error_type(self, index: int) -> str | None:
        """The type of the error that a synthetic slot's pair is about; None of an augmented one."""
        kind, place = self._kind(index)
        return self._types[place % len(self._types)] if kind is SYNTHETIC else None

    def phrase(self, index: int) -> str | None:
        """What the error of a synthetic slot's pair says; None of an augmented one."""
        kind, place = self._kind(index)
        return self._scheduled(place)[1] if kind is SYNTHETIC else None

    def pair_rng(self, index: int) -> random.Random:
        """The generator that slot `index` and its twin share, at its start."""
        return random.Random(f"{self._seed}:pair:{index // 2}")

    def _kind(self, index: int) -> tuple[tuple[str, str], int]:
        """The quadrants of a slot's pair, and how many pairs of them come before."""
        pair = index // 2
        augmented = int(pair * self._share)
        is_augmented = int((pair + 1) * self._share) > augmented
        return (AUGMENTED, augmented) if is_augmented else (SYNTHETIC, pair - augmented)

    def _scheduled(self, place: int) -> tuple[str, str]:
        """The vignette of the `place`-th synthetic pair, and what its error says."""
        cycle, at = divmod(place, len(self._types))
        name = self._types[at]
        return self._schedules[name][cycle * self._types.count(name) + self._types[:at].count(name)]

    def _source(self, place: int) -> str:
        epoch, at = divmod(place, len(self._names))
        if self._order[0] != epoch:
            order = sorted(self._names)
            random.Random(f"{self._seed}:{AUGMENTED[0]}:{epoch}").shuffle(order)
            self._order = epoch, order
        return self._order[1][at]


def _offers(pool: Sequence[Vignette], injector: Injector) -> dict[str, list[Offer]]:
    """By type of error, which vignette can take which phrase."""
    holders = Counter(word for vignette in pool for word in _vocabulary(" ".join(n.text for n in vignette.bases)))
    found = defaultdict[str, dict[tuple[str, str], Offer]](dict)
    for vignette in pool:
        for one in (one for base in injector.bases(vignette) for one in base.injections):
            added = _vocabulary(one.edit.new) - _vocabulary(one.edit.old)
            rarest = min((holders[word] for word in added), default=0)
            offer = Offer(vignette=vignette.name, phrase=one.phrase, holders=rarest, likely=one.likely)
            found[one.error_type][offer.vignette, offer.phrase] = offer
    return {name: list(offers.values()) for name, offers in found.items()}


def _vocabulary(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in WORD.findall(text))


def _weights(pool: Sequence[Vignette]) -> Mapping[str, float]:
    """How often humans made each type of error in these vignettes; in notes without errors as in MEDEC's training."""
    own = Counter(str(error.error_type) for vignette in pool for error in vignette.errors)
    return own or TYPE_WEIGHTS


def _cycle(kinds: Sequence[str], weights: Mapping[str, float]) -> list[str]:
    """`CYCLE` types in the shares of `weights`: among the first n of them each is within one of its share."""
    total = sum(weights.get(kind, 0) for kind in kinds) or 1
    counts, drawn = Counter[str](), list[str]()
    for place in range(CYCLE if kinds else 0):
        drawn.append(max(kinds, key=lambda kind: weights.get(kind, 0) * (place + 1) / total - counts[kind]))
        counts[drawn[-1]] += 1
    return drawn


def draft(
    vignette: Vignette, quadrant: str, bases: Sequence[Base], pair: random.Random, tier_c: bool = False
) -> Draft | None:
    """The note of a slot before surface edits; None without `bases` to inject into. `pair` is the twins' generator.

    With `tier_c` a synthetic pair is open to the model's proposals.
    """
    if quadrant in AUGMENTED:
        return _augmented(vignette, quadrant == "augmented_error", pair)
    return _synthetic(bases, quadrant == "synthetic_injection", pair, tier_c)


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
    # of every error of the story: its clean note may be the correction of another than `error`
    evidence = frozenset[str]().union(*(evidence_of(one) for one in vignette.errors))
    twin = pair.choice(vignette.cleans) if vignette.cleans else clean_version(error)
    focus = closest(twin.sentences, right)
    free = free_of(error.sentences, at, evidence)
    twin_free = free_of(twin.sentences, focus, evidence)
    retold = retelling.kinds(error.sentences, free) & retelling.kinds(twin.sentences, twin_free)
    if with_error:
        return _human(error, free, retold)
    assert error.error_type is not None
    flaw = Flaw(error_type=error.error_type, error_text=error.sentences[at], corrected_text=right)
    return Draft(source=twin.note_id, sentences=twin.sentences, free=twin_free, focus=focus, retold=retold, twin=flaw)


def _human(error: Note, free: tuple[int, ...], retold: frozenset[str]) -> Draft:
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
        focus=at,
        retold=retold,
    )


def _synthetic(bases: Sequence[Base], with_error: bool, pair: random.Random, tier_c: bool) -> Draft | None:
    if not bases:
        return None
    base = pair.choice(bases)
    injection = pick(base.injections, pair)
    assert injection is not None
    drawn = _injected(base.note, injection, with_error)
    return _opened(drawn, base.note.sentences) if tier_c else drawn


def _injected(base: Note, injection: Injection, with_error: bool) -> Draft:
    at = injection.edit.sentence
    changed = apply(base.sentences, injection.edit)
    free = free_of(base.sentences, at, content_words(base.sentences[at]) | content_words(changed[at]))
    formal = tuple(i for i in range(len(changed)) if i != at)
    if not with_error:
        flaw = Flaw(error_type=injection.error_type, error_text=changed[at], corrected_text=base.sentences[at])
        return Draft(source=base.note_id, sentences=base.sentences, free=free, formal=formal, focus=at, twin=flaw)
    return Draft(
        source=base.note_id,
        sentences=changed,
        free=free,
        formal=formal,
        edits=(injection.edit,),
        error_type=injection.error_type,
        sentence=at,
        error_text=changed[at],
        corrected_text=base.sentences[at],
        tier=injection.tier,
        focus=at,
    )


def _opened(drawn: Draft, clean: Sequence[str]) -> Draft:
    """Every decision is open to a proposal, so both twins lock decisions and sentences that share words with one."""
    open_ = tuple(decisions(clean))
    evidence = frozenset[str]().union(*(content_words(clean[i]) for i in open_))
    free = tuple(i for i in drawn.free if i not in open_ and not content_words(clean[i]) & evidence)
    formal = tuple(i for i in drawn.formal if i not in open_)
    return msgspec.structs.replace(drawn, open=open_, free=free, formal=formal, twin=None)
