"""What a run is about to do, and how long it still takes: as measured in its own steps, never assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from common.config import RunSpec
from deploy import program
from deploy.report.clock import duration

RECENT = 8
"""Steps whose duration tells that of the next ones: the first are slower, and a machine may get busier."""


def announcement(spec: RunSpec, folder: Path, first: int) -> str:
    """The run in a few lines, before anything is started; `first` is the number of its first step."""
    games = ", ".join(env.id for env in spec.envs)
    warm_up = f"{spec.warm_up.steps} warm-up steps, then " if first == 1 and spec.warm_up.steps else ""
    evaluated = f"; held-out tasks every {spec.evaluation.every} steps" if spec.evaluation.every else ""
    return "\n".join(
        (
            f"run {spec.name}: {warm_up}steps {first} to {spec.steps}, each of {spec.learner.batch_groups} tasks x "
            f"{spec.sampling.group_size} replies{evaluated}; game {games}, model {spec.model.source} on {spec.backend}",
            "  first the model and its engines, which takes longest; the time left is shown once a step was measured",
            f"  folder    {folder}",
            f"  watch     {program.typed('status', folder, '--watch')}",
            f"  stop      Ctrl-C, or {program.typed('stop', folder)}: finishes the step and writes a checkpoint",
        )
    )


def time_left(rows: Sequence[Mapping[str, Any]], steps: int) -> str:
    """`about 3 min 20 s left`, by the median of the newest steps; "" before the first step and after the last."""
    if not rows or rows[-1]["step"] >= steps:
        return ""
    each = median(row["seconds"] for row in rows[-RECENT:])
    return f"about {duration(each * (steps - rows[-1]['step']))} left"
