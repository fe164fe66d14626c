"""Rollouts as tests and the simulator write them."""

from __future__ import annotations

from common.records import Completion, EndReason, Episode, Reward, Rollout, Step


def one_turn(completion: Completion, reward: Reward, task_id: str = "task") -> Rollout:
    """A rollout of one turn."""
    reason = EndReason.LENGTH if completion.truncated else EndReason.SUBMITTED
    episode = Episode(task_id=task_id, actions=(completion.text,), reason=reason)
    return Rollout(steps=(Step(completion=completion),), episode=episode, reward=reward)


def rewarded(total: float, reason: str = "", **components: float) -> Reward:
    """A reward that counts as solved when it is above 0."""
    return Reward(components=components, total=total, reason=reason, solved=total > 0)
