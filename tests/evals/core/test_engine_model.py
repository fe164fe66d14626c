from __future__ import annotations

import numpy as np
import pytest

from actors.engine import PromptTooLong
from actors.episode import PartnerError, play
from common.record import Ids
from common.records import Message, Sampled
from envs.contract.env import Ask
from evals.core.client import EngineLost
from evals.core.engine import EngineModel
from simulator.fakes import Handle, remote_error
from tests.actors.fake_turns import Turns, turn_task
from tests.evals.clients import completion


class OneEngine:
    """Says a word in each turn. Later turns fail as `fails` says."""

    def __init__(self, fails: Exception | None = None) -> None:
        self._fails = fails
        self.asked: list[tuple[int, float]] = []

    async def generate(self, messages: tuple[Message, ...], n: int, max_tokens: int, temperature: float) -> Sampled:
        self.asked.append((max_tokens, temperature))
        return Sampled(prompt_ids=(1,), completions=tuple(completion("word") for _ in range(n)))

    async def proceed(self, prefix: Ids, messages: tuple[Message, ...], max_tokens: int, temperature: float) -> Sampled:
        if self._fails:
            raise self._fails
        self.asked.append((max_tokens, temperature))
        return Sampled(prompt_ids=np.append(prefix, 9), completions=(completion("word"),))


async def test_an_episode_is_played_on_the_engine_at_its_temperature() -> None:
    engine = OneEngine()
    (played,) = await play(Turns(), turn_task(wanted=3).task, EngineModel(Handle(engine), 0.5), 1, 32)
    assert played.episode.actions == ("word",) * 3 and engine.asked == [(32, 0.5)] * 3


async def test_an_engine_that_fails_in_a_later_turn_is_lost_and_a_full_context_ends_the_episode() -> None:
    model = EngineModel(Handle(OneEngine(remote_error(RuntimeError("cancelled")))), 0.5)
    with pytest.raises(EngineLost, match=r"the engine failed: .*cancelled"):
        await play(Turns(), turn_task(wanted=3).task, model, 1, 32)
    model = EngineModel(Handle(OneEngine(remote_error(PromptTooLong("full")))), 0.5)
    (played,) = await play(Turns(), turn_task(wanted=3).task, model, 1, 32)
    assert played.episode.reason == "context"


async def test_the_policy_plays_the_partner_that_it_plays_in_a_run() -> None:
    ask = Ask(role="scribe", messages=(), max_tokens=8, temperature=0.7)
    engine = OneEngine()
    assert (await EngineModel(Handle(engine), 0.5).partner(ask)).text == "word" and engine.asked == [(8, 0.7)]


async def test_a_game_that_asks_another_model_is_told_that_there_is_none() -> None:
    with pytest.raises(PartnerError, match="the game asks a patient"):
        await EngineModel(Handle(OneEngine()), 0.5).partner(Ask(role="patient", messages=(), max_tokens=8))
