"""Statistics of a batch of scored rollouts: flag rate, accuracy, Youden's J, pair accuracy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from common.records import Group

FLAGGED = {"found", "elsewhere", "false_alarm"}
RIGHT = {"found", "elsewhere", "clean"}
WINDOW = 8
"""Number of batches that a checkpoint is scored by; one batch of a few groups is too noisy."""
ON_ERROR_NOTES = {"augmented_error", "synthetic_injection"}


def batch_statistics(groups: Iterable[Group]) -> dict[str, float | None]:
    """Shares over the completions of `groups`; None where nothing could be counted.

    `flag_rate` over valid verdicts; `accuracy` of the flag over all completions (an invalid one is wrong);
    `youden_j` = sensitivity + specificity - 1 (Youden 1950); `pair_accuracy` = the share of twin draws, one completion
    of the error note with one of the clean note of the same vignette, in which both flags are right (chance .25).
    """
    cases: list[tuple[bool, str]] = []
    right_by_note: dict[str, dict[bool, list[float]]] = defaultdict(dict)
    for group in groups:
        on_error = group.labelled.task.provenance.quadrant in ON_ERROR_NOTES
        reasons = [rollout.reward.reason for rollout in group.rollouts]
        cases += [(on_error, reason) for reason in reasons]
        right = [float(reason in RIGHT) for reason in reasons]
        right_by_note[group.labelled.task.provenance.vignette].setdefault(on_error, []).append(_mean(right) or 0.0)
    valid = [reason for _, reason in cases if _is_valid(reason)]
    sensitivity = _mean([float(reason in RIGHT) for on_error, reason in cases if on_error])
    specificity = _mean([float(reason in RIGHT) for on_error, reason in cases if not on_error])
    youden = None if sensitivity is None or specificity is None else sensitivity + specificity - 1
    return {
        "valid_share": _mean([float(_is_valid(reason)) for _, reason in cases]),
        "flag_rate": _mean([float(reason in FLAGGED) for reason in valid]),
        "accuracy": _mean([float(reason in RIGHT) for _, reason in cases]),
        "youden_j": youden,
        "pair_accuracy": _pair_accuracy(right_by_note.values()),
    }


def rolling_score(rows: Sequence[Mapping[str, Any]], window: int = WINDOW) -> tuple[float, float] | None:
    """(Youden's J, pair accuracy), each the mean over those of the newest `window` batches in which it was counted.

    `rows` hold what `batch_statistics` returned, the first step first. Checkpoints are compared by it, never by reward:
    a policy that flags nothing or everything has J = 0 however much it earns. Without a pair its accuracy counts 0.
    None when no batch had notes of both labels.
    """
    newest = rows[-window:]
    youden = _mean([row["youden_j"] for row in newest if row["youden_j"] is not None])
    pairs = _mean([row["pair_accuracy"] for row in newest if row["pair_accuracy"] is not None])
    return None if youden is None else (youden, pairs or 0.0)


def _is_valid(reason: str) -> bool:
    return not reason.startswith("invalid") and reason != "truncated"


def _pair_accuracy(notes: Iterable[Mapping[bool, list[float]]]) -> float | None:
    return _mean([(_mean(n[True]) or 0.0) * (_mean(n[False]) or 0.0) for n in notes if True in n and False in n])


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
