"""Evaluation during training: held-out tasks are asked through the training engines, concurrently with rollouts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from actors.engine import PromptTooLong
from actors.episode import GameError, PartnerError, PoolModel, newest_version, play
from common.config import SamplingSpec
from common.records import EndReason, Episode, LabelledTask, Record
from common.statistics import Interval
from envs.contract.by_rule import tasks_by_rule
from envs.contract.env import Environment
from envs.contract.report import Outcome

if TYPE_CHECKING:
    from actors.handles import PoolHandle

ROLE = "doctor"
"""The role under which the pool counts these tokens."""
CONCURRENCY = 8
"""Held-out tasks asked concurrently. Few, because rollouts need the engines too; the next weights wait for them."""


class EvalPoint(Record):
    """One point of a run's held-out curve; `policy_version` wrote every token. `measures` are by env_id."""

    policy_version: int
    seconds: float
    tasks: int
    measures: dict[str, dict[str, Interval]]
    reward_mean: float


class Heldout(Record):
    """A held-out task; `pair` is shared with its twin (slots 2k and 2k+1 of the plan)."""

    pair: str
    labelled: LabelledTask


class Evaluator:
    """Asks the same held-out tasks each time: made once, by rule, in twins. `pool` is an EnginePool's handle."""

    def __init__(self, env: Environment, pool: PoolHandle, sampling: SamplingSpec, tasks: int) -> None:
        self._env, self._sampling, self._count = env, sampling, tasks
        self._model = PoolModel(pool, ROLE, sampling.temperature)
        self._tasks: list[Heldout] = []

    async def run(self, policy_version: int) -> EvalPoint:
        """One episode of every held-out task, sampled as in training, while the engines hold `policy_version`.

        Raises ValueError, one line, when the environment keeps no source back or no task can be made of them.
        """
        if not self._tasks:
            self._tasks = await heldout_tasks(self._env, self._count)
        started = time.monotonic()
        gate = asyncio.Semaphore(CONCURRENCY)
        episodes = await asyncio.gather(*(self._play(one.labelled, policy_version, gate) for one in self._tasks))
        return self._point(policy_version, time.monotonic() - started, episodes)

    async def _play(self, labelled: LabelledTask, version: int, gate: asyncio.Semaphore) -> Episode:
        """One episode; an empty one when the prompt does not fit the model's context, or the game failed in it."""
        async with gate:
            try:
                (played,) = await play(self._env, labelled.task, self._model, 1, self._sampling.max_tokens)
            except (PromptTooLong, GameError, PartnerError) as error:
                reason = EndReason.CONTEXT if isinstance(error, PromptTooLong) else EndReason.PARTNER
                return Episode(task_id=labelled.task.task_id, actions=("",), reason=reason)
        assert newest_version([played]) in (0, version), "the weights changed during an evaluation"
        return played.episode

    def _point(self, version: int, seconds: float, episodes: Sequence[Episode]) -> EvalPoint:
        outcomes = [
            Outcome(labelled=one.labelled, rewards=(self._env.score(episode, one.labelled.label),), pair=one.pair)
            for one, episode in zip(self._tasks, episodes, strict=True)
        ]
        return EvalPoint(
            policy_version=version,
            seconds=seconds,
            tasks=len(outcomes),
            measures=self._measures(outcomes),
            reward_mean=sum(one.rewards[0].total for one in outcomes) / len(outcomes),
        )

    def _measures(self, outcomes: list[Outcome]) -> dict[str, dict[str, Interval]]:
        return {
            env_id: report.heldout([one for one in outcomes if one.labelled.task.env == env_id])
            for env_id, report in self._env.reports.items()
        }


async def heldout_tasks(env: Environment, count: int) -> list[Heldout]:
    """The first `count` held-out tasks that can be made without a model; equal on every call.

    Raises ValueError when none can.
    """
    made = await tasks_by_rule(env, env.heldout_plan, count)
    if not made:
        raise ValueError("no held-out task can be made: give the game more sources, or hold more of them back")
    return [Heldout(pair=str(slot.index // 2), labelled=labelled) for slot, labelled in made]
