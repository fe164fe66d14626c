"""Rollout groups for tests of the learner."""

from __future__ import annotations

from common.records import (
    Completion,
    Group,
    Label,
    LabelledTask,
    Limits,
    Provenance,
    Task,
)
from simulator.rollouts import one_turn, rewarded


def group(prompt: list[int], completions: list[list[int]], rewards: list[float] | None = None) -> Group:
    task = Task(
        env="fake",
        task_id="t1",
        split="train",
        context={},
        limits=Limits(),
        provenance=Provenance(source="s", vignette="v", kind="q"),
    )
    rewards = rewards or [float(i) for i in range(len(completions))]
    rollouts = tuple(
        one_turn(
            Completion(
                text="",
                token_ids=tuple(ids),
                logps=tuple(-0.1 * (j + 1) for j in range(len(ids))),
                versions=tuple(i for _ in ids),
                finish_reason="stop",
                engine="e",
            ),
            rewarded(reward),
        )
        for i, (ids, reward) in enumerate(zip(completions, rewards, strict=True))
    )
    labelled = LabelledTask(task=task, label=Label(task_id="t1", truth={}))
    return Group(labelled=labelled, prompt_ids=tuple(prompt), rollouts=rollouts, doctor="d")
