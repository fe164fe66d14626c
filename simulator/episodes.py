"""The episodes that a simulated run trains on: how many turns they have, and whether each token may be trained on."""

from __future__ import annotations

from collections import Counter

from common.records import Group, Rollout


class Episodes:
    """Counts of the episodes in batches: by `turns`, and those that `moved` to another engine."""

    def __init__(self) -> None:
        self.turns = Counter[int]()
        self.moved = 0

    def batched(self, group: Group, leased_at: int, newest: int) -> str:
        """Count a group's episodes. Returns what is wrong with its tokens, or the empty string.

        None may be older than `leased_at`, the version of the task's lease, or younger than `newest`, which the learner
        published last; and the group must know its oldest token, which decides its lag.
        """
        for rollout in group.rollouts:
            self.turns[len(rollout.steps)] += 1
            self.moved += len({step.completion.engine for step in rollout.steps}) > 1
        versions = [version for rollout in group.rollouts for version in _versions(rollout)]
        if not versions or not leased_at <= min(versions) <= max(versions) <= newest:
            return f"{group.task_id}, leased at {leased_at}, has tokens of {sorted(set(versions))} at {newest}"
        if group.oldest_version != min(versions):
            return f"{group.task_id} says that its oldest token is of {group.oldest_version}, not {min(versions)}"
        return ""


def _versions(rollout: Rollout) -> list[int]:
    """Of each of its tokens."""
    return [int(version) for step in rollout.steps for version in step.completion.versions]
