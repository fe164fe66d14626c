"""Which notes are versions of one vignette: near-duplicates by shared word 4-grams, named by content."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations

from envs.verdict.data.overlap import Gram, grams

CONTAINMENT = 0.5  # twins share nearly all their grams, unrelated notes a few stock phrases
COMMON = 0.03  # a gram in more than this share of the notes is a stock phrase
COMMON_AT_LEAST = 50  # ... but never one in fewer notes than this


def name_vignettes(texts: Sequence[str], twins: Sequence[str]) -> list[str]:
    """One name per text; equal for texts of the same vignette, whatever their order in the file.

    Two texts belong together when they have the same `twins` key, or when they share at least `CONTAINMENT` of the
    grams of the shorter one (single linkage). The name is the least content hash of the cluster's texts.
    """
    words = [re.findall(r"[a-z0-9]+", text.lower()) for text in texts]
    parent = list(range(len(texts)))
    for pair in [*_same(twins), *_same([" ".join(w) for w in words]), *_overlapping([grams(text) for text in texts])]:
        low, high = sorted(_root(parent, i) for i in pair)
        parent[high] = low
    names: dict[int, str] = {}
    for index, text_words in enumerate(words):
        digest = hashlib.sha256(" ".join(text_words).encode()).hexdigest()[:16]
        root = _root(parent, index)
        names[root] = min(names.get(root, digest), digest)
    return [names[_root(parent, index)] for index in range(len(texts))]


def _same(keys: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs that chain together all indices of equal key."""
    first: dict[str, int] = {}
    return [(first.setdefault(key, index), index) for index, key in enumerate(keys)]


def _overlapping(rows: Sequence[set[Gram]]) -> list[tuple[int, int]]:
    """Pairs of texts above the containment threshold, through an inverted index without the stock phrases."""
    holders: dict[Gram, list[int]] = defaultdict(list)
    for index, own in enumerate(rows):
        for gram in own:
            holders[gram].append(index)
    limit = max(COMMON_AT_LEAST, int(COMMON * len(rows)))
    sizes: Counter[int] = Counter()
    shared: Counter[tuple[int, int]] = Counter()
    for indices in holders.values():
        if len(indices) <= limit:
            sizes.update(indices)
            shared.update(combinations(indices, 2))
    return [pair for pair, count in shared.items() if count >= CONTAINMENT * min(sizes[pair[0]], sizes[pair[1]])]


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index
