"""Does the wording of a task leak its label? Small classifiers that know no medicine, tested on unseen vignettes.

A probe scores every task by features of its text; the leak is the area under the ROC curve (AUC) of that score: 0.5
means no leak, 1.0 a complete one. Naive Bayes in its Bernoulli log-odds form, on features that are present.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter

FOLDS = 5
CHARACTERS = 4  # of a character n-gram


def auc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """The chance that a positive scores above a negative, ties counting half (Mann-Whitney U over its maximum).

    0.5 when there are no positives or no negatives.
    """
    wins = below = 0.0
    for _, tied in groupby(sorted(zip(scores, positive, strict=True)), key=itemgetter(0)):
        flags = [is_positive for _, is_positive in tied]
        negatives = len(flags) - sum(flags)
        wins += sum(flags) * (below + negatives / 2)
        below += negatives
    pairs = sum(positive) * (len(positive) - sum(positive))
    return wins / pairs if pairs else 0.5


def leaks(texts: Sequence[str], positive: Sequence[bool], vignettes: Sequence[str]) -> dict[str, float]:
    """The AUC of each probe.

    `words` and `characters` are classifiers tested on held-out vignettes, `rarity` is the share of character n-grams
    that no other vignette has (typos), and `shape` the most telling of lengths and counts. The last two need no
    training, so they count in either direction.
    """
    start = _shared_start(min(texts), max(texts))  # the instruction is the same for all
    bodies = [text[start:] for text in texts]
    grams = [_characters(body) for body in bodies]
    known = _known(grams, vignettes)
    rarity = [len(row - known) / max(1, len(row)) for row in grams]
    return {
        "words": _held_out([_words(body) for body in bodies], positive, vignettes),
        "characters": _held_out(grams, positive, vignettes),
        "rarity": _two_sided(rarity, positive),
        "shape": max(_two_sided(list(map(measure, bodies)), positive) for measure in _SHAPES),
    }


def asymmetry(operators: Sequence[Sequence[str]], positive: Sequence[bool]) -> tuple[str, float]:
    """The operator whose share of tasks differs most between the labels, and the p-value of that difference.

    `operators` are the operators of each task. The p-value is that of a two-proportion z-test, two-sided, times the
    number of operators (Bonferroni). ("none", 1.0) when there are no operators, or only one label.
    """
    used: dict[bool, Counter[str]] = {flag: Counter() for flag in (True, False)}
    for names, is_positive in zip(operators, positive, strict=True):
        used[is_positive].update(set(names))
    sizes = Counter(positive)
    names = sorted(used[True] | used[False])
    if not names or len(sizes) < 2:
        return "none", 1.0
    worst, score = max(((name, _z(used, sizes, name)) for name in names), key=itemgetter(1))
    return worst, min(1.0, math.erfc(score / math.sqrt(2)) * len(names))


def _z(used: dict[bool, Counter[str]], sizes: Counter[bool], name: str) -> float:
    """|z| of the difference of two shares, with the pooled variance."""
    pooled = (used[True][name] + used[False][name]) / sizes.total()
    error = math.sqrt(pooled * (1 - pooled) * (1 / sizes[True] + 1 / sizes[False]))
    return abs(used[True][name] / sizes[True] - used[False][name] / sizes[False]) / error if error else 0.0


def _shared_start(first: str, last: str) -> int:
    pairs = enumerate(zip(first, last, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(last)))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+|[^\w\s]", text.lower()))


def _characters(text: str) -> set[str]:
    return {text[i : i + CHARACTERS] for i in range(len(text) - CHARACTERS + 1)}


_SHAPES: tuple[Callable[[str], float], ...] = (
    len,
    lambda text: len(text.split()),
    lambda text: text.count("\n"),
    lambda text: sum(map(str.isupper, text)),
    lambda text: sum(map(str.isdigit, text)),
    lambda text: sum(not char.isascii() for char in text),
)


def _two_sided(scores: Sequence[float], positive: Sequence[bool]) -> float:
    area = auc(scores, positive)
    return max(area, 1 - area)


def _held_out(rows: Sequence[set[str]], positive: Sequence[bool], vignettes: Sequence[str]) -> float:
    """Mean AUC over folds of vignettes; not pooled, because their different shares of positives would hide a leak.

    Values below 0.5 are no leak: where the same phrases are right in one vignette and wrong in another, holding out one
    leaves only the other to learn from.
    """
    folds = [zlib.crc32(vignette.encode()) % FOLDS for vignette in vignettes]
    areas = []
    for fold in sorted(set(folds)):
        inside = [i for i, f in enumerate(folds) if f == fold]
        outside = [i for i, f in enumerate(folds) if f != fold]
        known = _known([rows[i] for i in outside], [vignettes[i] for i in outside])
        weights = _log_odds([rows[i] & known for i in outside], [positive[i] for i in outside])
        if len({positive[i] for i in inside}) == 2:
            scores = [sum(weights.get(name, 0.0) for name in rows[i]) for i in inside]
            areas.append(auc(scores, [positive[i] for i in inside]))
    return sum(areas) / len(areas) if areas else 0.5


def _known(rows: Sequence[set[str]], vignettes: Sequence[str]) -> set[str]:
    """The features of at least two vignettes."""
    owned: defaultdict[str, set[str]] = defaultdict(set)
    for row, vignette in zip(rows, vignettes, strict=True):
        owned[vignette] |= row
    seen: set[str] = set()
    known: set[str] = set()
    for row in owned.values():
        known |= seen & row
        seen |= row
    return known


def _log_odds(rows: Sequence[set[str]], positive: Sequence[bool]) -> dict[str, float]:
    """log P(feature | positive) / P(feature | negative), each with one count added."""
    counts: dict[bool, Counter[str]] = defaultdict(Counter)
    sizes = Counter(positive)
    for row, is_positive in zip(rows, positive, strict=True):
        counts[is_positive].update(row)
    return {
        name: math.log((counts[True][name] + 1) / (sizes[True] + 2))
        - math.log((counts[False][name] + 1) / (sizes[False] + 2))
        for name in counts[True] | counts[False]
    }
