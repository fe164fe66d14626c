"""What a game says of finished episodes: what the policy was shown, and which of its replies could be read.

A game that fails here costs what it would have said, and never the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.episode import GameError, of_game
from common.records import Episode, Group, Task
from envs.contract.env import Environment
from envs.contract.replay import opening, texts
from envs.contract.reports import Readings


class AsShown:
    """`prompt` and `shown` are as `deploy.report.rollout_log` takes them."""

    def __init__(self, env: Environment) -> None:
        self._env = env

    def prompt(self, task: Task) -> str | None:
        """What the policy was shown first."""
        try:
            return of_game("begin", opening, self._env, task)
        except GameError:
            return None

    def shown(self, task: Task, episode: Episode) -> Sequence[str]:
        """What it was shown after each of its actions but the last one."""
        return texts(self._env, task, episode)

    def readings(self, groups: Iterable[Group]) -> Readings:
        """The replies that the game could not read, by task."""
        return {group.task_id: found for group in groups if (found := self._unread(group)) is not None}

    def _unread(self, group: Group) -> list[tuple[int, ...]] | None:
        try:
            found = [of_game("unread", self._env.unread, rollout.episode) for rollout in group.rollouts]
        except GameError:
            return None
        known = [one for one in found if one is not None]
        return known if len(known) == len(found) else None
