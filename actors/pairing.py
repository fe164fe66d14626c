"""Chooses the rolled groups of the next batch: twins together where the staleness bound leaves a choice.

A task and its twin of the opposite label differ only in what determines the label, so one batch with both contrasts
them and has equally many tasks of each label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Fits = Callable[[Sequence[int]], bool]
"""Whether the staleness bound holds when these indices are taken."""


def choose(rolled: Sequence[int], twins: Mapping[int, int], size: int, fits: Fits) -> list[int] | None:
    """`size` of `rolled` (oldest first), with as few split pairs as `fits` allows; None when no choice fits.

    `twins` maps an index to its twin's, as long as the twin is not trained or rejected. First nothing is forced into
    the batch, then the oldest group, the two oldest, and so on. A batch of all the oldest groups fits if any batch
    does, so preferring pairs never makes the learner wait.
    """
    if len(rolled) < size or not fits(rolled[:size]):
        return None
    for forced in range(size):
        batch = _with_twins(rolled[:forced], rolled, twins, size)
        if fits(batch):
            return batch
    return list(rolled[:size])


def split_pairs(batch: Sequence[int], twins: Mapping[int, int]) -> int:
    """How many groups of `batch` lack their twin, which will be trained later."""
    return sum(index in twins and twins[index] not in batch for index in batch)


def _with_twins(forced: Sequence[int], rolled: Sequence[int], twins: Mapping[int, int], size: int) -> list[int]:
    """`forced` with their twins, then whole pairs, then groups without a twin, then groups whose twin is not rolled."""
    there, batch = set(rolled), set(forced)
    pairs = {index: {index, twins[index]} for index in rolled if twins.get(index) in there}
    for pair in (pairs[index] for index in (*forced, *rolled) if index in pairs):
        if len(batch | pair) <= size:
            batch |= pair

    def rank(index: int) -> int:
        return 2 if index in pairs else 1 if index in twins else 0

    left = sorted((index for index in rolled if index not in batch), key=rank)  # oldest first within a rank
    batch.update(left[: size - len(batch)])
    return [index for index in rolled if index in batch]
