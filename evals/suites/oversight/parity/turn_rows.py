"""SA24: what tools answer is in the context of later replies, as rollouts are played."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from actors.episode import Model
from common.record import Ids
from common.records import Completion, Message, Reply, Sampled
from envs.contract.env import Act, Ask, Turn
from envs.contract.replay import play as replayed
from envs.contract.replay import texts
from envs.oversight.environment import Oversight
from evals.core.parity import Control, Found, Row, demands
from evals.suites.oversight.parity.parts import playing, tasks


class Recorder:
    """A model whose tokens are characters: it plays as a policy does, and keeps every prompt."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self.prompts = list[str]()

    async def start(self, messages: tuple[Message, ...], n: int, max_tokens: int) -> Sampled:
        """See Model."""
        return self._said((), messages)

    async def proceed(self, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int) -> Sampled:
        """See Model."""
        return self._said(tuple(map(int, prefix)), messages)

    async def partner(self, ask: Ask) -> Reply:
        """See Model."""
        raise AssertionError(f"no {ask.role} plays")

    def _said(self, prefix: tuple[int, ...], messages: tuple[Message, ...]) -> Sampled:
        prompt = (*prefix, *(ord(char) for message in messages for char in f"\n{message.content}\n"))
        self.prompts.append("".join(map(chr, prompt)))
        text = self._act(Turn(messages=messages))
        ids = np.array([*map(ord, text)], np.int32)
        said = Completion(
            text=text,
            token_ids=ids,
            logps=np.zeros(len(ids), np.float32),
            versions=np.zeros_like(ids),
            finish_reason="stop",
            engine="recorder",
        )
        return Sampled(prompt_ids=np.array(prompt, np.int32), completions=(said,))


def real_turns(play: Callable[..., Any]) -> Found:
    """SA24: as rollouts are played, the prompt of each turn holds all answers of the tools so far."""
    env, labelled = playing(Oversight, "medium"), tasks(Oversight, "medium", 2)[0]
    act = env.oracle(labelled, random.Random(0))
    episode = replayed(env, labelled.task, act)
    said = iter(episode.actions)
    model = Recorder(lambda _: next(said))
    (played,) = asyncio.run(play(env, labelled.task, model, 1, 192))
    answers = texts(env, labelled.task, episode)
    held = sum(all(answer in prompt for answer in answers[:turn]) for turn, prompt in enumerate(model.prompts))
    return Found(
        f"{len(model.prompts)} turns, {held} prompts hold every answer so far",
        demands(
            every_turn_is_played=played.episode.actions == episode.actions,
            answers_are_in_the_context=held == len(model.prompts) == len(episode.actions) > 10,
        ),
    )


async def _unanswered(play: Callable[..., Any], env: Oversight, task: Any, model: Model, *limits: int) -> Any:
    return await play(env, task, _Deafened(model), *limits)


class _Deafened:
    """A model that is not shown what tools answer."""

    def __init__(self, model: Model) -> None:
        self.start, self.partner, self._proceed = model.start, model.partner, model.proceed

    async def proceed(self, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int) -> Sampled:
        """See Model."""
        return await self._proceed(prefix, engine, (), max_tokens)


ROWS = (
    Row(
        "SA24",
        "real turns: what tools answer is in the context of the next reply",
        ("tests/actors/test_episode.py",),
        real_turns,
        Control(
            "the model is not shown the answers",
            lambda parts: parts._replace(play=partial(_unanswered, parts.play)),
        ),
    ),
)
