"""The clinic for Gymnasium under the name and with the arguments of the public system, Healthcare AI GYM.

import gymnasium, envs.adapters.bioagent
env = gymnasium.make("BioAgent-v0", domain="triage_emergency", task_id="triage_emergency_001")
text, info = env.reset()
text, reward, terminated, truncated, info = env.step('vitals(patient_id="P931")')
"""

from __future__ import annotations

from typing import Any

import gymnasium

from common.records import EndReason
from envs.adapters.gym import GameEnv
from envs.adapters.source import RELEASE, source_of
from envs.contract.listing import Listing

ENV_ID = "BioAgent-v0"
GAME = "clinic"
UNSCALED = 5
"""Tasks of a domain with `use_scaled_tasks=False`."""


class BioAgentEnv(GameEnv):
    """One domain. Without `task_id` a reset draws one of its release tasks, of the first five if not
    `use_scaled_tasks`; with `task_split` `train` or `public`, of any number of others. `max_turns` limits the replies
    of an episode beside the task's own limit.

    Raises ValueError for a domain, a task or a split that does not exist.
    """

    def __init__(
        self,
        domain: str,
        task_id: str | None = None,
        task_split: str = RELEASE,
        max_turns: int | None = None,
        use_scaled_tasks: bool = True,
        seed: int = 0,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        source = source_of(GAME, seed, domains=[domain], **settings)
        super().__init__(source, task_split, seed, render_mode)
        assert isinstance(source.env, Listing)
        if max_turns is not None and max_turns < 1:
            raise ValueError(f"max_turns {max_turns}: write 1 or more, or leave it out")
        self._most = max_turns
        self._domain, self._split, names = domain, task_split, source.env.release()
        self._few = None if use_scaled_tasks or task_split != RELEASE else UNSCALED
        self._fixed = None
        if task_id is not None:
            source.env.release_task(task_id)
            self._fixed, self._split = names.index(task_id), RELEASE

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """The first text of the episode: of the only task, if one was named, else of one that the seed draws."""
        gymnasium.Env.reset(self, seed=seed)
        given = dict(options or {})
        if self._fixed is not None:
            given |= {"index": self._fixed, "split": self._split}
        elif self._few is not None and given.get("index") is None:
            given["index"] = int(self.np_random.integers(self._few))
        return super().reset(seed=seed, options=given)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """As `GameEnv`; after `max_turns` replies the episode is truncated."""
        text, reward, terminated, truncated, info = super().step(action)
        if terminated or truncated or self._most is None or info["turn"] < self._most:
            return text, reward, terminated, truncated, info
        seen = self._session.stop(EndReason.MAX_TURNS)
        text, info = self._shown(seen)
        return text, seen.reward, False, True, info

    def _shown(self, seen: Any) -> tuple[str, dict[str, Any]]:
        text, info = super()._shown(seen)
        return text, {**info, "domain": self._domain}


gymnasium.register(id=ENV_ID, entry_point=f"{__name__}:{BioAgentEnv.__name__}", order_enforce=False)
