"""Which vignette takes which wrong phrase, epoch by epoch, so that no word gives an error away.

A phrase that right notes hardly hold would, where it stands, tell a reader without medicine that it is wrong. So in an
epoch no phrase is put in more often than the right notes of an epoch hold its rarest word, but once.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from common.records import Record

LIKELY = 0.8  # of the draws take an error that a reader might believe, where there is one


class Offer(Record):
    """`vignette` can take `phrase`, of whose rarest word `holders` vignettes speak in their right notes."""

    vignette: str
    phrase: str
    holders: int
    likely: bool


class Schedule:
    """An endless sequence of (vignette, phrase); in an epoch each vignette comes at most once. `of` is the number of
    vignettes that `holders` were counted among."""

    def __init__(self, offers: Sequence[Offer], of: int, seed: str) -> None:
        self._seed, self._of = seed, of
        self._offers = defaultdict[str, list[Offer]](list)
        for offer in offers:
            self._offers[offer.vignette].append(offer)
        self._drawn = list[tuple[str, str]]()
        self._epochs = 0

    def __getitem__(self, place: int) -> tuple[str, str]:
        """The `place`-th vignette and phrase, from 0."""
        assert self._offers, "a schedule of nothing is never asked"
        while len(self._drawn) <= place:
            self._drawn += self._epoch(self._epochs)
            self._epochs += 1
        return self._drawn[place]

    def _epoch(self, number: int) -> list[tuple[str, str]]:
        rng, used, drawn = random.Random(f"{self._seed}:{number}"), Counter[str](), list[tuple[str, str]]()
        names = sorted(self._offers)
        rng.shuffle(names)
        for name in names:
            left = [one for one in self._offers[name] if used[one.phrase] < self._most(one)]
            likely = [one for one in left if one.likely]
            among = likely if likely and rng.random() < LIKELY else left
            if among:
                rng.shuffle(among)
                phrase = min(among, key=lambda one: used[one.phrase] / self._most(one)).phrase
                used[phrase] += 1
                drawn.append((name, phrase))
        return drawn

    def _most(self, offer: Offer) -> int:
        """How often the phrase may come in an epoch: as often as its rarest word in as many right notes, but once."""
        return max(1, round(offer.holders * len(self._offers) / max(1, self._of)))
