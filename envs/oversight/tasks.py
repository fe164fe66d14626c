"""A trial with its truth as a task of the contract."""

from __future__ import annotations

import hashlib
import json

import msgspec

from common.records import Label, LabelledTask, Limits, Provenance, Task
from envs.oversight.trial import Trial, Truth, as_json

ENV_ID = "oversight"
TURNS = (4, 6)
"""Turns for each proposal, and beside."""


def labelled_task(
    trial: Trial, truth: Truth, split: str, source: str, kind: str, model_written: bool = False
) -> LabelledTask:
    """The task. Its id is a hash of all that can be found out, so that no label but its own scores its episodes."""
    context = trial.context
    task = Task(
        env=ENV_ID,
        task_id=hashlib.sha256(json.dumps(context).encode()).hexdigest()[:16],
        split=split,
        context=context,
        limits=Limits(max_turns=TURNS[0] * len(trial.proposals) + TURNS[1]),
        provenance=Provenance(source=source, vignette=source, kind=kind, model_written=model_written),
    )
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth=as_json(truth)))


def truth_of(label: Label) -> Truth:
    """The label as the reward reads it."""
    return msgspec.convert(label.truth, Truth)
