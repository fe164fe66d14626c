"""Evaluation during training: held-out tasks are asked through the training engines, concurrently with rollouts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from actors.engine import PromptTooLong
from actors.engine_errors import RequestFailed
from actors.episode import GameError, PartnerError, Played, PoolModel, newest_version, play, score
from common.config import SamplingSpec
from common.record import frozen
from common.records import EndReason, Episode, Group, LabelledTask, Record, Reward, Rollout, Task
from common.statistics import Interval, mean
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
    """Asks the same held-out tasks each time: made once, by rule, in twins. `pools` are by the role that they serve."""

    def __init__(self, env: Environment, pools: Mapping[str, PoolHandle], sampling: SamplingSpec, tasks: int) -> None:
        self._env, self._sampling, self._count = env, sampling, tasks
        self._model = PoolModel(pools[ROLE], ROLE, sampling.temperature, pools)
        self._tasks: list[Heldout] = []
        self._replies: dict[str, Group] = {}

    @property
    def replies(self) -> list[Group]:
        """The episodes of the newest `run`, groups of one, in the order of the tasks; without those never sampled."""
        known = [one.labelled.task.task_id for one in self._tasks]
        return [self._replies[task_id] for task_id in known if task_id in self._replies]

    async def run(self, policy_version: int) -> EvalPoint:
        """One episode of every held-out task, sampled as in training, while the engines hold `policy_version`.

        Raises ValueError, one line, when the environment keeps no source back or no task can be made of them.
        """
        if not self._tasks:
            self._tasks = await heldout_tasks(self._env, self._count)
        self._replies = {}
        started = time.monotonic()
        gate = asyncio.Semaphore(CONCURRENCY)
        outcomes = await asyncio.gather(*(self._play(one, policy_version, gate) for one in self._tasks))
        return self._point(policy_version, time.monotonic() - started, [one for one in outcomes if one is not None])

    async def _play(self, task: Heldout, version: int, gate: asyncio.Semaphore) -> Outcome | None:
        """One scored episode, empty when the prompt does not fit the context; None when game or engines failed."""
        labelled = task.labelled
        try:
            async with gate:
                played = await self._played(labelled.task, version)
            reward = score(self._env, played.episode, labelled.label)
        except (GameError, PartnerError, RequestFailed):
            return None
        self._keep(labelled, played, reward)
        return Outcome(labelled=labelled, rewards=(reward,), pair=task.pair)

    async def _played(self, task: Task, version: int) -> Played:
        try:
            (played,) = await play(self._env, task, self._model, 1, self._sampling.max_tokens)
        except PromptTooLong:
            unread = Episode(task_id=task.task_id, actions=("",), reason=EndReason.CONTEXT)
            return Played(prompt_ids=frozen((), np.int32), steps=(), episode=unread)
        assert newest_version([played]) in (0, version), "the weights changed during an evaluation"
        return played

    def _keep(self, labelled: LabelledTask, played: Played, reward: Reward) -> None:
        if any(len(step.completion.token_ids) for step in played.steps):
            rollout = Rollout(steps=played.steps, episode=played.episode, reward=reward)
            group = Group(labelled=labelled, prompt_ids=played.prompt_ids, rollouts=(rollout,), doctor=ROLE)
            self._replies[group.task_id] = group

    def _point(self, version: int, seconds: float, outcomes: list[Outcome]) -> EvalPoint:
        return EvalPoint(
            policy_version=version,
            seconds=seconds,
            tasks=len(outcomes),
            measures=self._measures(outcomes),
            reward_mean=mean([one.rewards[0].total for one in outcomes]) or 0.0,
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
