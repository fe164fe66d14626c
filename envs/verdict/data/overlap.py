"""The overlap of two notes: the share of word 4-grams that they have in common."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

WORDS = 4  # of a gram
SOURCE_LIMIT = 0.30  # unrelated MEDEC notes share .12 of their 4-grams (median of the highest), stock phrases of exams
TASK_LIMIT = 0.35  # surface edits move a task's overlap a little from its source's

Gram = tuple[str, ...]


def grams(text: str) -> set[Gram]:
    """The distinct word 4-grams of `text`, case and punctuation ignored."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1)}


class Reference:
    """Texts to keep away from, in an inverted index."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._holders: dict[Gram, list[int]] = defaultdict(list)
        self._sizes = list[int]()
        for index, own in enumerate(map(grams, texts)):
            self._sizes.append(len(own))
            for gram in own:
                self._holders[gram].append(index)

    def containment(self, text: str) -> float:
        """The highest share, over the texts, of the shorter one's 4-grams that the other has too; in [0, 1]."""
        own = grams(text)
        shared = Counter(index for gram in own for index in self._holders.get(gram, ()))
        return max((count / min(self._sizes[index], len(own)) for index, count in shared.items()), default=0.0)
