from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import cache

import pytest

from actors.engine import PromptTooLong
from common.config import SamplingSpec
from common.records import Completion, Episode, Label, Message, Reward, Sampled
from envs.verdict.environment import VerdictEnvironment
from envs.verdict.spec import DataSpec, VerdictSettings
from evals.core.evaluator import CONCURRENCY, Evaluator, heldout_tasks
from simulator.fakes import Handle
from tests.evals.clients import CLEAN, completion

COUNT = 24


@cache
def environment() -> VerdictEnvironment:
    return VerdictEnvironment(VerdictSettings(), seed=0)


@cache
def right_replies() -> dict[str, str]:
    env = environment()
    tasks = [one.labelled for one in asyncio.run(heldout_tasks(env, COUNT))]
    return {env.open(t.task).messages[0].content: env.demonstration(t, random.Random(0)) for t in tasks}


class Pool:
    def __init__(self, reply: Callable[[str], Completion]) -> None:
        self._reply = reply
        self.asked: list[tuple[str, int, int, float]] = []
        self.running = self.most = 0

    async def generate(
        self, role: str, messages: tuple[Message, ...], n: int, max_tokens: int, temperature: float
    ) -> Sampled:
        self.asked.append((role, n, max_tokens, temperature))
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        return Sampled(prompt_ids=(1,), completions=(self._reply(messages[0].content),))


def evaluator(pool: Pool) -> Evaluator:
    return Evaluator(environment(), {"doctor": Handle(pool)}, SamplingSpec(temperature=0.8, max_tokens=64), COUNT)


async def test_the_oracle_is_right_on_every_twin() -> None:
    known = await asyncio.to_thread(right_replies)
    pool = Pool(lambda prompt: completion(known[prompt], versions=(7, 7)))
    point = await evaluator(pool).run(7)
    assert (point.policy_version, point.tasks) == (7, COUNT)
    for name in ("flag_accuracy", "pair_accuracy", "youden_j", "valid_share"):
        assert point.measures["verdict"][name].value == 1.0
    assert point.measures["verdict"]["false_positive_rate"].value == 0.0 and point.reward_mean == pytest.approx(1.0)
    assert point.measures["verdict"]["pair_accuracy"].of == COUNT // 2
    assert pool.asked[0] == ("doctor", 1, 64, 0.8) and pool.most <= CONCURRENCY


async def test_a_constant_reply_has_no_pair_and_no_youden() -> None:
    point = await evaluator(Pool(lambda prompt: completion(CLEAN))).run(0)
    found = [point.measures["verdict"][name].value for name in ("flag_accuracy", "pair_accuracy", "youden_j")]
    assert found == [0.5, 0.0, 0.0]


async def test_an_invalid_reply_is_wrong_and_no_false_alarm() -> None:
    point = await evaluator(Pool(lambda prompt: completion("junk"))).run(0)
    for name in ("valid_share", "flag_accuracy", "false_positive_rate"):
        assert point.measures["verdict"][name].value == 0.0
    assert point.measures["verdict"]["youden_j"].value == -1.0


async def test_weights_that_change_during_an_evaluation_are_a_fault_of_ours() -> None:
    with pytest.raises(AssertionError, match="the weights changed"):
        await evaluator(Pool(lambda prompt: completion(CLEAN, versions=(3, 4)))).run(3)


async def test_the_same_tasks_are_asked_each_time() -> None:
    prompts: list[str] = []
    pool = Pool(lambda prompt: prompts.append(prompt) or completion(CLEAN))  # type: ignore[func-returns-value]
    asking = evaluator(pool)
    await asking.run(0)
    await asking.run(0)
    assert sorted(prompts[:COUNT]) == sorted(prompts[COUNT:]) and len(set(prompts)) > COUNT // 2


async def test_a_prompt_that_does_not_fit_is_an_invalid_reply() -> None:
    def refuse(prompt: str) -> Completion:
        raise PromptTooLong("prompt of 2000 tokens")

    asking = evaluator(Pool(refuse))
    point = await asking.run(0)
    assert point.measures["verdict"]["valid_share"].value == 0.0 and asking.replies == [], "nothing was sampled"


async def test_without_held_out_notes_the_reason_is_reported() -> None:
    env = VerdictEnvironment(VerdictSettings(data=DataSpec(heldout=0)), seed=0)
    with pytest.raises(ValueError, match=r"heldout .* holds no vignette back"):
        await heldout_tasks(env, 2)


class FailsOnce(VerdictEnvironment):
    """Its score raises in one held-out task."""

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        if label.task_id == self.broken:
            raise KeyError("broken game")
        return super().score(episode, label, version)


async def test_a_task_whose_game_fails_is_left_out_of_the_point_and_ends_nothing() -> None:
    env = FailsOnce(VerdictSettings(), seed=0)
    env.broken = (await heldout_tasks(env, COUNT))[0].labelled.task.task_id
    pool = Handle(Pool(lambda prompt: completion(CLEAN)))
    point = await Evaluator(env, {"doctor": pool}, SamplingSpec(temperature=0.8, max_tokens=64), COUNT).run(0)
    assert point.tasks == COUNT - 1
