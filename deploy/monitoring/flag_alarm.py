"""Does the Doctor still judge, or does it flag nearly every note, or none? The flag rate of the last batches.

A weak policy drifts to silence, because a flag pays only where it is likely to be right; a reward with a hole drifts to
flagging. Half of the notes hold an error, so a policy that judges flags about half of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

Rows = Sequence[dict[str, Any]]
"""Lines of metrics.jsonl, the first steps first."""

BAND = (0.25, 0.75)
STEPS = 3
"""So many batches in a row outside the band are no accident of their draws."""


def outside(rows: Rows) -> int:
    """How many of the newest steps in a row had a flag rate outside the band; one without a valid verdict counts."""
    return sum(1 for _ in takewhile(lambda row: not _inside(row["flag_rate"]), reversed(rows)))


def is_on(rows: Rows) -> bool:
    """Whether the alarm stands after the newest step."""
    return outside(rows) >= STEPS


def warning(rows: Rows) -> str:
    """What to tell a person after the newest step; "" while all is well, and between every third step of an alarm."""
    steps = outside(rows)
    if steps == 0 or steps % STEPS:
        return ""
    rates = ", ".join("-" if row["flag_rate"] is None else f"{row['flag_rate']:.0%}" for row in rows[-STEPS:])
    return (
        f"flag rate {rates} in the last {STEPS} batches ({steps} in a row outside {BAND[0]:.0%} to {BAND[1]:.0%}): the "
        "Doctor stops judging; give it more warm_up.steps, a larger reward.anneal_steps or a smaller learning_rate"
    )


def _inside(rate: float | None) -> bool:
    return rate is not None and BAND[0] <= rate <= BAND[1]
