"""Online filters of SeRL (arXiv 2505.20347): difficulty, novelty and length.

The replay buffer applies them when a task or a group arrives, before advantages are normalised, so the learner never
sees a rejected group. Rejections are counted by reason in `medserl_rejections_total`. Length is limited in three
places: the game limits its sources, the Doctor rejects prompts that do not fit (`too_long`), and this module rejects
short completions (`too_short`); a completion that is too long is cut off and scored as truncated.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

import msgspec

from common.buffer_records import RejectReason
from common.config import FilterSpec
from common.finite import group_fault
from common.records import Group, Task

RECENT = 64
"""Accepted tasks that a new one is compared with."""


class Novelty:
    """Rejects a task whose context overlaps one of the last `RECENT` accepted ones more than `limit` (ROUGE-L F).

    A twin (same vignette, other kind) is similar to its sibling by design and is not compared with it. `known` were
    accepted by an earlier process: a resumed run holds them.
    """

    def __init__(self, limit: float, known: Iterable[Task] = ()) -> None:
        from rouge_score.rouge_scorer import RougeScorer
        from rouge_score.tokenizers import DefaultTokenizer

        self._limit = limit
        self._tokenizer = DefaultTokenizer(use_stemmer=False)
        self._scorer = RougeScorer(["rougeL"], tokenizer=self._tokenizer)
        self._recent = deque[tuple[Task, str, Counter[str]]](((task, *self._read(task)) for task in known), RECENT)

    def accepts(self, task: Task) -> bool:
        """Whether the task is new; an accepted task is remembered."""
        text, words = self._read(task)
        if any(self._overlaps(task, text, words, *other) for other in self._recent):
            return False
        self._recent.append((task, text, words))
        return True

    def _overlaps(
        self, task: Task, text: str, words: Counter[str], other: Task, other_text: str, other_words: Counter[str]
    ) -> bool:
        mine, theirs = task.provenance, other.provenance
        if mine.vignette == theirs.vignette and mine.kind != theirs.kind:
            return False
        # The longest common subsequence is at most as long as the common bag of words, which is far cheaper to compute.
        shared, total = (words & other_words).total(), words.total() + other_words.total()
        if 2 * shared <= self._limit * total:
            return False
        return bool(self._scorer.score(other_text, text)["rougeL"].fmeasure > self._limit)

    def _read(self, task: Task) -> tuple[str, Counter[str]]:
        text = msgspec.json.encode(task.context).decode()
        return text, Counter(self._tokenizer.tokenize(text))


def group_rejection(spec: FilterSpec, group: Group) -> RejectReason | None:
    """Why a group is rejected, or None; first of all because a log-prob or a reward of it is NaN or infinite.

    Difficulty is the share of rollouts that solved their task; a group outside the range has too little to teach.
    """
    if group_fault(group):
        return RejectReason.NOT_FINITE
    if any(rollout.shortest < spec.min_tokens for rollout in group.rollouts):
        return RejectReason.TOO_SHORT
    if spec.difficulty is None:
        return None
    low, high = spec.difficulty
    return None if low <= successes(group) / len(group.rollouts) <= high else RejectReason.DIFFICULTY


def successes(group: Group) -> int:
    """Number of rollouts that solved their task."""
    return sum(rollout.reward.solved for rollout in group.rollouts)
