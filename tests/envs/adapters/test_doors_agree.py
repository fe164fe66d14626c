"""The law of the doors: an episode is the same through all of them. A door whose library is not installed is left out
here and tested where it is: OpenEnv's in `.venv-openenv` (`make openenv`), the others in `.venv`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from common.records import Episode
from envs.adapters.session import Session
from envs.adapters.source import Source
from envs.contract.calls import Call, parse
from tests.envs.adapters.games import GAMES, Played, made, oracle_of

INDICES = (0, 1, 5)


def calls_of(source: Source, index: int, episode: Episode) -> list[Call]:
    """The oracle's replies as calls; none where the game has no tools."""
    tools = Session(source).reset(index=index).tools
    read = [parse(action, tools, source.syntax) for action in episode.actions] if tools else []
    return [call for call in read if isinstance(call, Call)]


def by_text(source: Source, index: int, episode: Episode) -> Played:
    session = Session(source)
    shown = [session.reset(index=index)] + [session.step(action) for action in episode.actions]
    return Played(shown=tuple(seen.text for seen in shown[:-1]), reward=shown[-1].reward)


def by_call(source: Source, index: int, episode: Episode) -> Played:
    session = Session(source)
    calls = [{"tool": call.name, "arguments": call.arguments} for call in calls_of(source, index, episode)]
    shown = [session.reset(index=index)] + [session.step(action) for action in calls or episode.actions]
    return Played(shown=tuple(seen.text for seen in shown[:-1]), reward=shown[-1].reward)


def by_gym(source: Source, index: int, episode: Episode) -> Played:
    pytest.importorskip("gymnasium", exc_type=ModuleNotFoundError)
    from envs.adapters.gym import GameEnv

    env = GameEnv(source)
    shown, reward = [env.reset(options={"index": index})[0]], 0.0
    for action in episode.actions:
        text, gained, terminated, _, _ = env.step(action)
        shown.append(text)
        reward += gained
    assert terminated
    return Played(shown=tuple(shown[:-1]), reward=reward)


def by_trl(source: Source, index: int, episode: Episode) -> Played:
    from envs.adapters.trl import environment_factory

    env: Any = environment_factory(source)()
    shown = [env.reset(index=index, prompt=[])]
    calls = calls_of(source, index, episode)
    shown += [getattr(env, call.name)(**call.arguments) for call in calls]
    shown += [env.reply(text=action) for action in episode.actions if not calls]
    return Played(shown=tuple(shown[:-1]), reward=env.get_reward())


def by_openrlhf(source: Source, index: int, episode: Episode) -> Played:
    pytest.importorskip("torch", exc_type=ModuleNotFoundError)
    from envs.adapters.openrlhf import agent
    from tests.common.chat_families import tokenizer_of

    one = agent(source, tokenizer_of("tiny"))()

    async def played() -> tuple[list[str], float]:
        given = [(await one.reset({"observation": "", "label": str(index)}))["observation"]]
        reward = 0.0
        for action in episode.actions:
            result = await one.step({"action_text": action})
            given.append(result["environment_feedback"])
            reward += result["rewards"].item()
        return given, reward

    given, reward = asyncio.run(played())
    found = [re.findall(r"<\|im_start\|>(?:user|tool)\n(.*?)<\|im_end\|>", text, re.DOTALL) for text in given[:-1]]
    return Played(shown=tuple("\n\n".join(contents) for contents in found), reward=reward)


def by_openenv(source: Source, index: int, episode: Episode) -> Played:
    pytest.importorskip("openenv", reason="only in .venv-openenv: make openenv")
    from envs.adapters.openenv.models import GameAction
    from envs.adapters.openenv.server import GameEnvironment

    env = GameEnvironment(source)
    shown = [env.reset(index=index)] + [env.step(GameAction(text=action)) for action in episode.actions]
    contents = ["\n\n".join(message.content for message in seen.messages) for seen in shown[:-1]]
    return Played(shown=tuple(contents), reward=sum(seen.reward for seen in shown))


DOORS: dict[str, Callable[[Source, int, Episode], Played]] = {
    "text": by_text,
    "call": by_call,
    "gymnasium": by_gym,
    "trl": by_trl,
    "openrlhf": by_openrlhf,
    "openenv": by_openenv,
}


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("door", DOORS)
def test_the_oracle_sees_and_earns_through_a_door_what_it_does_without_one(door: str, game: str) -> None:
    source = made(game)
    for index in INDICES:
        episode, expected = oracle_of(source, index)
        assert expected.reward > 0
        assert DOORS[door](source, index, episode) == expected
