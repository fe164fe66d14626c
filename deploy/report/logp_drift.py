"""The log-prob difference of engines and learner on fresh rollouts, compared with its value right after loading."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from learner.bounds import BOUNDS, LOADED

Rows = Sequence[dict[str, Any]]
"""Lines of metrics.jsonl, the first steps first."""


def warning(rows: Rows, dtype: str, factor: float) -> str:
    """The warning to show after the newest step; "" while the mean difference of the last steps is within `factor` of
    the first measured one, or within what `dtype` explains."""
    measured = _measured(rows)
    if not measured or rows[-1].get("fresh_logp_difference") is None:
        return ""
    tolerated, recent = BOUNDS[dtype].tolerance(measured[0], factor), fmean(measured[-LOADED:])
    if recent <= tolerated:
        return ""
    return (
        f"fresh rollouts: engines and learner differ by {recent:.4f} nats per token, tolerated {tolerated:.4f} "
        f"({measured[0]:.4f} right after loading): importance weights correct for it"
        + ("; with model.dtype: float32 they would agree" if dtype == "bfloat16" else "")
    )


def summary(rows: Rows) -> str:
    """One line about the whole run."""
    measured = _measured(rows)
    if not measured:
        return "fresh rollouts: not measured, no engine answered"
    return (
        f"fresh rollouts: engines and learner differ by {measured[0]:.4f} nats per token after loading, "
        f"at most {max(measured):.4f} later, in {len(measured)} of {len(rows)} steps measured"
    )


def _measured(rows: Rows) -> list[float]:
    values = (row.get("fresh_logp_difference") for row in rows)
    return [value for value in values if value is not None]
