"""Scores of a Doctor from its scored replies: flag rate, accuracy, Youden's J, pair accuracy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from common.statistics import mean
from envs.contract.report import Outcome

FLAGGED = {"found", "elsewhere", "false_alarm"}
RIGHT = {"found", "elsewhere", "clean"}
ON_ERROR_NOTES = {"augmented_error", "synthetic_injection"}


def batch_statistics(outcomes: Sequence[Outcome]) -> dict[str, float | None]:
    """Shares over the replies of `outcomes`; None where nothing could be counted.

    `flag_rate` over valid verdicts; `accuracy` of the flag over all replies (an invalid one is wrong);
    `youden_j` = sensitivity + specificity - 1 (Youden 1950); `pair_accuracy` = the share of twin draws, one reply to
    the error note with one to the clean note of the same vignette, in which both flags are right (chance .25).
    """
    cases: list[tuple[bool, str]] = []
    right_by_note: dict[str, dict[bool, list[float]]] = defaultdict(dict)
    for one in outcomes:
        reasons = [reward.reason for reward in one.rewards]
        cases += [(on_error_note(one), reason) for reason in reasons]
        right = mean([float(reason in RIGHT) for reason in reasons]) or 0.0
        right_by_note[one.labelled.task.provenance.vignette].setdefault(on_error_note(one), []).append(right)
    valid = [reason for _, reason in cases if is_valid(reason)]
    sensitivity = mean([float(reason in RIGHT) for on_error, reason in cases if on_error])
    specificity = mean([float(reason in RIGHT) for on_error, reason in cases if not on_error])
    youden = None if sensitivity is None or specificity is None else sensitivity + specificity - 1
    return {
        "valid_share": mean([float(is_valid(reason)) for _, reason in cases]),
        "flag_rate": mean([float(reason in FLAGGED) for reason in valid]),
        "accuracy": mean([float(reason in RIGHT) for _, reason in cases]),
        "youden_j": youden,
        "pair_accuracy": _pair_accuracy(right_by_note.values()),
    }


def on_error_note(outcome: Outcome) -> bool:
    """Whether the note holds an error."""
    return outcome.labelled.task.provenance.kind in ON_ERROR_NOTES


def is_valid(reason: str) -> bool:
    """Whether the reply that earned `reason` holds a verdict."""
    return not reason.startswith("invalid") and reason != "truncated"


def _pair_accuracy(notes: Iterable[Mapping[bool, list[float]]]) -> float | None:
    return mean([(mean(n[True]) or 0.0) * (mean(n[False]) or 0.0) for n in notes if True in n and False in n])
