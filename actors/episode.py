"""Episodes played on engines: one call samples the first turn of a group, then every episode goes on by itself.

Token in, token out: the prompt of a later turn is the ids of the turn before, the ids that were sampled, and the ids of
what the game answers (`common.chat`). Nothing that was sampled is tokenised again. Holds no torch and no vllm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

import numpy as np

from actors.engine import PromptTooLong
from common.errors import last_line
from common.finite import reward_fault
from common.record import Ids
from common.records import (
    Completion,
    EndReason,
    Episode,
    Label,
    LabelledTask,
    Message,
    Record,
    Reply,
    Reward,
    Rollout,
    Sampled,
    Step,
    Task,
)
from envs.contract.env import Ask, Done, Environment, State, Turn

if TYPE_CHECKING:
    from actors.handles import PoolHandle

LOG = logging.getLogger(__name__)

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")
NOBODY: Mapping[str, PoolHandle] = MappingProxyType({})


class GameError(Exception):
    """The game raised. The message says in which call and what."""


class PartnerError(Exception):
    """A model that the game asked for words gave none."""


class Model(Protocol):
    """The policy that plays, and the partners that games ask: `PoolModel`, or an engine of an evaluation."""

    async def start(self, messages: tuple[Message, ...], n: int, max_tokens: int) -> Sampled:
        """n replies to the first turn. Raises PromptTooLong when prompt and reply exceed the model's context."""

    async def proceed(self, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int) -> Sampled:
        """One reply to a later turn, after all ids so far; `engine` sampled the last of them.

        Raises PromptTooLong when there is no room for a reply.
        """

    async def partner(self, ask: Ask) -> Reply:
        """What another model says. Raises PartnerError."""


class PoolModel:
    """The engines of a pool, under one role and temperature. `partners` are the pools that games ask, by role."""

    def __init__(
        self, pool: PoolHandle, role: str, temperature: float, partners: Mapping[str, PoolHandle] = NOBODY
    ) -> None:
        self._pool, self._role, self._temperature, self._partners = pool, role, temperature, partners

    async def start(self, messages: tuple[Message, ...], n: int, max_tokens: int) -> Sampled:
        """See `Model`."""
        return await self._pool.generate.remote(self._role, messages, n, max_tokens, self._temperature)

    async def proceed(self, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int) -> Sampled:
        """See `Model`."""
        return await self._pool.proceed.remote(self._role, prefix, engine, messages, max_tokens, self._temperature)

    async def partner(self, ask: Ask) -> Reply:
        """See `Model`."""
        if (pool := self._partners.get(ask.role)) is None:
            served = ", ".join(sorted(self._partners)) or "none"
            raise PartnerError(f"the game asks a {ask.role}, and the pools of this run serve {served}")
        try:
            sampled = await pool.generate.remote(ask.role, ask.messages, 1, ask.max_tokens, ask.temperature)
        except PromptTooLong as error:
            raise PartnerError(f"{ask.role}: {last_line(error)}") from None
        return said_by(ask, sampled)


def said_by(ask: Ask, sampled: Sampled) -> Reply:
    """The reply of a partner, with the oldest policy_version that sampled a token of it."""
    (one,) = sampled.completions
    return Reply(role=ask.role, text=one.text, policy_version=sampled.oldest_version or 0)


class Played(Record):
    """One finished episode, not yet scored. `prompt_ids` is the prompt of its first step."""

    prompt_ids: Ids
    steps: tuple[Step, ...]
    episode: Episode


async def play(env: Environment, task: Task, model: Model, n: int, max_tokens: int) -> tuple[Played, ...]:
    """n episodes of one task, their replies at most `max_tokens` long, or less where the game has a limit of its own.

    Raises PromptTooLong when the first turn does not fit, GameError and PartnerError.
    """
    most = min(max_tokens, task.limits.max_tokens)
    state, turn = of_game("begin", env.begin, task)
    first = await model.start(turn.messages, n, most)
    player = _Player(env, task, model, most)
    episodes = [asyncio.ensure_future(player.finish(state, first.prompt_ids, one)) for one in first.completions]
    try:
        return tuple(await asyncio.gather(*episodes))
    finally:
        for episode in episodes:  # where one failed nobody uses the others: engines need not play them
            episode.cancel()


def scored(env: Environment, labelled: LabelledTask, played: Sequence[Played], version: int | None) -> list[Rollout]:
    """Their rewards at one version, because the rollouts of a group are compared. Raises GameError."""

    def reward(episode: Episode) -> Reward:
        return score(env, episode, labelled.label, version)

    return [Rollout(steps=one.steps, episode=one.episode, reward=reward(one.episode)) for one in played]


def score(env: Environment, episode: Episode, label: Label, version: int | None = None) -> Reward:
    """The reward of an episode. Raises GameError, also for a reward that holds a number which is none."""
    reward = of_game("score", env.score, episode, label, version)
    if fault := reward_fault(reward):
        raise GameError(f"score: {fault}: a reward must be finite")
    return reward


def newest_version(played: Sequence[Played]) -> int:
    """The newest policy_version that sampled one of the tokens; 0 when there is none."""
    return max(int(step.completion.versions.max(initial=0)) for one in played for step in one.steps)


def of_game(
    name: str, call: Callable[Parameters, Answer], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Answer:
    """What a method of the game returns. Raises GameError for whatever the game raises."""
    try:
        return call(*args, **kwargs)
    except Exception as error:  # a game may be anybody's code: its faults are data and never end a run
        LOG.warning("the game failed in %s", name, exc_info=True)
        raise GameError(f"{name}: {type(error).__name__}: {last_line(error)}") from error


class _Player:
    """Goes on with the episodes of one task."""

    def __init__(self, env: Environment, task: Task, model: Model, max_tokens: int) -> None:
        self._env, self._task, self._model, self._max_tokens = env, task, model, max_tokens

    async def finish(self, state: State, prompt_ids: Ids, completion: Completion) -> Played:
        """The episode that began with `completion`, to its end."""
        steps, replies = list[Step](), list[Reply]()
        prefix, cached = prompt_ids, 0
        while True:
            state, after = await self._after(state, completion, len(steps) + 1, replies)
            if isinstance(after, EndReason):
                break
            prefix = np.concatenate([prefix, completion.token_ids])
            try:
                sampled = await self._model.proceed(prefix, completion.engine, after.messages, self._max_tokens)
            except PromptTooLong:
                after = EndReason.CONTEXT
                break
            observed = sampled.prompt_ids[len(prefix) :]
            steps.append(Step(completion=completion, observed=observed, cached=cached))
            prefix, cached, (completion,) = sampled.prompt_ids, sampled.cached, sampled.completions
        steps.append(Step(completion=completion, cached=cached))
        episode = Episode(
            task_id=self._task.task_id,
            actions=tuple(step.completion.text for step in steps),
            reason=after,
            replies=tuple(replies),
        )
        return Played(prompt_ids=prompt_ids, steps=tuple(steps), episode=episode)

    async def _after(
        self, state: State, completion: Completion, turns: int, replies: list[Reply]
    ) -> tuple[State, Turn | EndReason]:
        """The next turn, or why there is none. A reply that was cut off is no action of the policy's choice."""
        if completion.truncated:
            return state, EndReason.LENGTH
        said: tuple[Reply, ...] = ()
        while True:
            later, after = of_game("advance", self._env.advance, state, completion.text, said)
            if not isinstance(after, Ask):
                break
            said = (*said, await self._model.partner(after))
        replies += said
        if isinstance(after, Done):
            return later, after.reason
        return later, EndReason.MAX_TURNS if turns == self._task.limits.max_turns else after
