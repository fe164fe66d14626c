"""Lists of expected care with a known number of resources."""

from __future__ import annotations

import random

from envs.clinic.triage.esi import KINDS, resources

LABORATORY, IMAGES, FREE = (
    ("blood count", "urinalysis"),
    ("chest x-ray", "abdominal x-ray"),
    ("oral paracetamol", "splint"),
)
"""The items of the tier `first`: of two kinds that count, and of none. A list has two of them."""
NOTHING = tuple(item for item, (_, count) in KINDS.items() if count == 0)
COMPLEX = next(item for item, (_, count) in KINDS.items() if count == 2)
_TOGETHER = ({"CT", "ultrasound"},)
"""Kinds that no list has both of: whether they are one resource is not clear from the handbook."""


def care_list(count: int, simple: bool, rng: random.Random) -> list[str]:
    """A list with this number of resources; 2 stands for two or three, which the tree does not tell apart."""
    if simple:
        return _simple((count,), rng)[0]
    kinds = _kinds(count + (count >= 2 and rng.random() < 0.3), rng)
    return _shuffled([*_items(kinds, rng), *_fillers(1, rng)], rng)


def care_twins(most: int, least: int, simple: bool, rng: random.Random) -> list[list[str]]:
    """Two lists with these numbers of resources, one or two apart, that differ in one item unless `simple`."""
    if simple:
        return _simple((most, least), rng)
    shared = _kinds(least, rng)
    others = [*_items(shared, rng), *_fillers(1, rng)]
    added = COMPLEX
    if most - least == 1:
        added = rng.choice([item for item in _single(shared) if KINDS[item][0] not in shared])
    instead = rng.choice([item for item in (*NOTHING, *_same(shared)) if item not in others])
    place = rng.randint(0, len(others))
    others = _shuffled(others, rng)
    lists = [[*others[:place], item, *others[place:]] for item in (added, instead)]
    assert [resources(one) for one in lists] == [most, least], lists
    return lists


def _simple(counts: tuple[int, ...], rng: random.Random) -> list[list[str]]:
    """Lists of two items, as many of which count."""
    counted = [rng.choice(LABORATORY), rng.choice(IMAGES)]
    rng.shuffle(counted)
    free = rng.sample(FREE, 2)
    return [[*counted[:count], *free[count:]] for count in counts]


def _kinds(count: int, rng: random.Random) -> list[str]:
    known = sorted({kind for kind, number in KINDS.values() if number == 1})
    while True:
        drawn = rng.sample(known, count)
        if not any(pair <= set(drawn) for pair in _TOGETHER):
            return drawn


def _single(beside: list[str]) -> list[str]:
    """Items that count one and may stand beside these kinds."""
    return [
        item
        for item, (kind, count) in KINDS.items()
        if count == 1 and not any(pair <= {kind, *beside} for pair in _TOGETHER)
    ]


def _of_kind(kind: str) -> list[str]:
    return [item for item, (own, _) in KINDS.items() if own == kind]


def _same(kinds: list[str]) -> list[str]:
    return [item for kind in kinds for item in _of_kind(kind)]


def _items(kinds: list[str], rng: random.Random) -> list[str]:
    """One item of each kind, sometimes two, which count once."""
    found = []
    for kind in kinds:
        of_kind = _of_kind(kind)
        found += rng.sample(of_kind, min(len(of_kind), rng.choice((1, 1, 2))))
    return found


def _fillers(least: int, rng: random.Random) -> list[str]:
    """Items that count for nothing."""
    return rng.sample(NOTHING, rng.randint(least, least + 1))


def _shuffled(items: list[str], rng: random.Random) -> list[str]:
    return rng.sample(items, len(items))
