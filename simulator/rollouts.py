"""Tasks and rollouts for tests and the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.records import (
    Completion,
    EndReason,
    Episode,
    Label,
    LabelledTask,
    Limits,
    Provenance,
    Reward,
    Rollout,
    Step,
    Task,
)


def labelled(
    task_id: str,
    *,
    env: str = "fake",
    kind: str = "any",
    vignette: str = "v",
    context: Mapping[str, Any] | None = None,
    truth: Mapping[str, Any] | None = None,
) -> LabelledTask:
    """A training task with its label."""
    task = Task(
        env=env,
        task_id=task_id,
        split="train",
        context=dict(context or {}),
        limits=Limits(),
        provenance=Provenance(source="s", vignette=vignette, kind=kind),
    )
    return LabelledTask(task=task, label=Label(task_id=task_id, truth=dict(truth or {})))


def one_turn(completion: Completion, reward: Reward, task_id: str = "task") -> Rollout:
    """A rollout of one turn."""
    reason = EndReason.LENGTH if completion.truncated else EndReason.SUBMITTED
    episode = Episode(task_id=task_id, actions=(completion.text,), reason=reason)
    return Rollout(steps=(Step(completion=completion),), episode=episode, reward=reward)


def rewarded(total: float, reason: str = "", **components: float) -> Reward:
    """A reward that counts as solved when it is above 0."""
    return Reward(components=components, total=total, reason=reason, solved=total > 0)
