"""Refusals: tasks and groups of which one after another is refused. Nothing that is refused makes a step, so such a run
would work for ever without a word.

Counted are refusals in a row: of tasks by the game's proposer or the buffer, and of groups by the filters or because
they came too late. One that passes begins the count again.
"""

from __future__ import annotations

from common.buffer_records import RejectReason
from common.sections import FilterSpec

IN_A_ROW = 64
"""Refused in a row, after which people are told. Of a policy for which one group in ten passes, 64 in a row are refused
once in a thousand times."""

AT_ONCE = frozenset({RejectReason.NOT_FINITE})
"""Reasons of which people hear at the first refusal: they are a fault, never a matter of chance."""

TASKS, GROUPS = "tasks", "groups"
WHAT = (TASKS, GROUPS)

LastReason = tuple[str, str]
"""Tasks or groups, and why the last of them was refused."""


class Refusals:
    """`warnings` has a line for each kind of thing that does not pass any more; `in_a_row` the counts."""

    def __init__(self, filters: FilterSpec) -> None:
        self._filters = filters
        self._counts = dict.fromkeys(WHAT, 0)
        self.in_a_row: dict[LastReason, int] = {}
        self.warnings: dict[str, str] = {}

    def refused(self, what: str, reason: str, detail: str = "") -> None:
        """One more was refused; `detail` says more about it, in one line."""
        self._counts[what] += 1
        self._forget(what)
        self.in_a_row[what, reason] = self._counts[what]
        if what in self.warnings or self._counts[what] >= IN_A_ROW:
            self.warnings.setdefault(what, line(what, reason, self._counts[what], self._filters, detail))
        elif reason in AT_ONCE:
            self.warnings.setdefault(f"{what}, {reason}", line(what, reason, 1, self._filters, detail))

    def passed(self, what: str) -> None:
        """One passed."""
        self._counts[what] = 0
        self._forget(what)
        for name in [name for name in self.warnings if name.partition(",")[0] == what]:
            del self.warnings[name]

    def _forget(self, what: str) -> None:
        self.in_a_row = {key: count for key, count in self.in_a_row.items() if key[0] != what}


def line(what: str, reason: str, count: float, filters: FilterSpec, detail: str = "") -> str:
    """What is refused, why, and the edit of the spec that would help."""
    cause = f"{reason} ({detail})" if detail else reason
    if count < IN_A_ROW:
        return f"one of the {what} was refused: {cause}: {_remedy(what, reason, filters)}"
    return f"{count:g} {what} in a row were refused, the last one as {cause}: {_remedy(what, reason, filters)}"


def _remedy(what: str, reason: str, filters: FilterSpec) -> str:
    match reason:
        case RejectReason.DIFFICULTY if filters.difficulty is not None:
            low, high = filters.difficulty
            return f"no success rate is in filters.difficulty [{low:g}, {high:g}]: widen it, or set it to null"
        case RejectReason.TOO_SHORT:
            return f"replies are shorter than filters.min_tokens {filters.min_tokens}: lower it"
        case RejectReason.NOVELTY:
            return f"tasks overlap more than filters.novelty {filters.novelty}: raise it, or set it to null"
        case RejectReason.DUPLICATE:
            return "the game makes tasks again that it made before: give it more sources, or take fewer steps"
        case RejectReason.LATE:
            return "groups take longer than their lease lasts: raise buffer.lease_seconds"
        case RejectReason.STALE:
            return "groups hold tokens of older versions than their lease: raise buffer.lease_seconds"
        case RejectReason.NOT_FINITE:
            return "what holds no number is never trained on: look at the engine or the game that is named"
    return f"the game refuses its own {what}: medserl check-env shows what it makes, logs/scribe-*.log says why"
