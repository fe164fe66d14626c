from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from actors.engine import PromptTooLong
from actors.engine_errors import EngineDied, RequestFailed
from actors.engine_pool import EnginePool
from common.record import frozen
from common.records import Completion, Message, Sampled
from simulator.fakes import Handle, remote_error, settle

ASK = ((Message(role="user", content="note"),), 2, 8, 1.0)


def sampled(engine: str, n: int) -> Sampled:
    one = Completion(
        text="x", token_ids=(1, 2, 3), logps=(-1.0,) * 3, versions=(0,) * 3, finish_reason="stop", engine=engine
    )
    return Sampled(prompt_ids=(1,), completions=(one,) * n)


class FakeEngine:
    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name, self.error = name, error
        self.asked: list[int] = []
        self.open = asyncio.Event()
        self.open.set()

    async def generate(self, messages: Any, n: int, max_tokens: int, temperature: float, likely: int = 0) -> Sampled:
        self.asked.append(n)
        await self.open.wait()
        if self.error:
            raise self.error
        return sampled(self.name, n)


async def pool_of(*engines: FakeEngine) -> tuple[EnginePool, list[Handle]]:
    pool, handles = EnginePool("engines"), [Handle(engine) for engine in engines]
    for engine, handle in zip(engines, handles, strict=True):
        await pool.admit(engine.name, handle)
    return pool, handles


async def test_calls_go_to_the_least_loaded_engine() -> None:
    a, b = FakeEngine("a"), FakeEngine("b")
    pool, _ = await pool_of(a, b)
    a.open.clear(), b.open.clear()
    calls = [asyncio.ensure_future(pool.generate("doctor", *ASK)) for _ in range(4)]
    await settle()
    assert (len(a.asked), len(b.asked)) == (2, 2)
    assert (await pool.state()).in_flight == 8
    a.open.set(), b.open.set()
    await asyncio.gather(*calls)
    assert (await pool.state()).in_flight == 0


async def test_a_call_whose_engine_dies_is_made_again_on_another() -> None:
    a, b = FakeEngine("a"), FakeEngine("b")
    pool, (first, _) = await pool_of(a, b)
    a.open.clear()
    call = asyncio.ensure_future(pool.generate("doctor", *ASK))
    await settle()
    assert len(a.asked) == 1, "it was under way there"
    first.kill()
    assert {completion.engine for completion in (await call).completions} == {"b"}
    assert (await pool.state()).serving == ("b",)


async def test_an_engine_whose_vllm_core_is_dead_stops_serving() -> None:
    dead = FakeEngine("a", remote_error(EngineDied("core gone")))
    pool, _ = await pool_of(dead, FakeEngine("b"))
    assert (await pool.generate("doctor", *ASK)).completions[0].engine == "b"
    assert len(dead.asked) == 1 and (await pool.state()).serving == ("b",)


async def test_a_call_waits_while_no_engine_serves() -> None:
    pool, (only,) = await pool_of(FakeEngine("a"))
    only.kill()
    calls = [asyncio.ensure_future(pool.generate("doctor", *ASK)) for _ in range(3)]
    await settle()
    assert not any(call.done() for call in calls)
    await pool.admit("a.1", Handle(FakeEngine("a.1")))
    assert [(await call).completions[0].engine for call in calls] == ["a.1"] * 3


async def test_a_quarantined_engine_gets_no_new_work_but_ends_what_it_has() -> None:
    a = FakeEngine("a")
    pool, _ = await pool_of(a)
    a.open.clear()
    running = asyncio.ensure_future(pool.generate("doctor", *ASK))
    await settle()
    await pool.quarantine("a")
    waiting = asyncio.ensure_future(pool.generate("doctor", *ASK))
    await settle()
    a.open.set()
    assert (await running).completions[0].engine == "a"
    await settle()
    assert not waiting.done() and await pool.engines() == {}
    waiting.cancel()


async def test_an_engine_that_was_taken_out_is_idle_when_its_last_call_has_ended() -> None:
    a = FakeEngine("a")
    pool, (handle,) = await pool_of(a)
    await asyncio.wait_for(pool.idle("a"), 1)
    a.open.clear()
    await pool.admit("a", handle)
    running = [asyncio.ensure_future(pool.generate("doctor", *ASK)) for _ in range(2)]
    await settle()
    await pool.quarantine("a")
    idle = asyncio.ensure_future(pool.idle("a"))
    await settle()
    assert not idle.done()
    a.open.set()
    await asyncio.gather(*running)
    await asyncio.wait_for(idle, 1)
    assert (await pool.state()).in_flight == 0


async def test_a_call_on_a_quarantined_engine_that_is_then_killed_is_made_again() -> None:
    a = FakeEngine("a")
    pool, (handle,) = await pool_of(a)
    a.open.clear()
    running = asyncio.ensure_future(pool.generate("doctor", *ASK))
    await settle()
    await pool.quarantine("a")
    await pool.admit("a.1", Handle(FakeEngine("a.1")))
    handle.kill()
    assert (await running).completions[0].engine == "a.1"
    assert (await pool.state()).serving == ("a.1",)


async def test_a_prompt_that_is_too_long_is_said_in_one_line() -> None:
    pool, _ = await pool_of(FakeEngine("a", remote_error(PromptTooLong("prompt of 900 tokens"))))
    with pytest.raises(PromptTooLong, match="prompt of 900 tokens") as caught:
        await pool.generate("doctor", *ASK)
    assert "\n" not in str(caught.value)
    state = await pool.state()
    assert state.serving == ("a",) and state.in_flight == 0


async def test_a_fault_of_the_engine_code_is_not_taken_for_its_death() -> None:
    pool, _ = await pool_of(FakeEngine("a", remote_error(AssertionError("a fault"))))
    with pytest.raises(AssertionError):
        await pool.generate("doctor", *ASK)
    assert (await pool.state()).serving == ("a",)


@pytest.mark.parametrize("engines", [1, 2, 5])
async def test_a_request_that_engines_fail_costs_no_engine_and_is_given_up_after_two(engines: int) -> None:
    fakes = [FakeEngine(name, remote_error(RequestFailed("ValueError: bad request"))) for name in "abcde"[:engines]]
    pool, _ = await pool_of(*fakes)
    with pytest.raises(RequestFailed, match="ValueError: bad request"):
        await pool.generate("doctor", *ASK)
    assert sum(len(fake.asked) for fake in fakes) == min(engines, 2)
    state = await pool.state()
    assert len(state.serving) == engines and state.in_flight == 0


async def test_a_request_that_one_engine_fails_is_sampled_on_another() -> None:
    failing = FakeEngine("a", remote_error(RequestFailed("hiccup")))
    pool, _ = await pool_of(failing, FakeEngine("b"))
    assert (await pool.generate("doctor", *ASK)).completions[0].engine == "b" and len(failing.asked) == 1
    assert (await pool.state()).serving == ("a", "b")


async def test_a_request_under_which_engine_after_engine_dies_ends_no_more_than_three() -> None:
    pool, _ = await pool_of(*(FakeEngine(name, remote_error(EngineDied("core gone"))) for name in "abcde"))
    with pytest.raises(RequestFailed, match="3 engines died under it"):
        await pool.generate("doctor", *ASK)
    assert len((await pool.state()).serving) == 2


async def test_completions_and_tokens_are_counted_by_role_once_even_after_a_retry() -> None:
    dead = FakeEngine("a", remote_error(EngineDied()))
    pool, _ = await pool_of(dead, FakeEngine("b"))
    await pool.generate("doctor", *ASK)
    await pool.generate("scribe", *ASK)
    assert len(dead.asked) == 1, "nothing was asked twice"
    assert (await pool.state()).counts == {
        ("medserl_completions_total", ("doctor",)): 2,
        ("medserl_rollout_tokens_total", ("doctor",)): 6,
        ("medserl_completions_total", ("scribe",)): 2,
        ("medserl_rollout_tokens_total", ("scribe",)): 6,
    }


class TurnEngine(FakeEngine):
    async def proceed(self, prefix: Any, messages: Any, max_tokens: int, temperature: float) -> Sampled:
        answer = await self.generate(messages, 1, max_tokens, temperature)
        return Sampled(prompt_ids=(1, 2, 3, 4), completions=answer.completions, cached=3)


TURN = (frozen((1, 2), np.int32), "b", (), 8, 1.0)


async def test_a_later_turn_goes_to_the_engine_that_has_the_earlier_ones_in_its_cache() -> None:
    pool, _ = await pool_of(TurnEngine("a"), TurnEngine("b"))
    sampled = [await pool.proceed("doctor", *TURN) for _ in range(3)]
    assert {one.completions[0].engine for one in sampled} == {"b"}


async def test_i11_an_episode_whose_engine_died_continues_elsewhere_and_stays_there() -> None:
    pool, (_, b, _) = await pool_of(TurnEngine("a"), TurnEngine("b"), TurnEngine("c"))
    b.kill()
    moved = (await pool.proceed("doctor", *TURN)).completions[0].engine
    assert moved == "a"
    assert (await pool.proceed("doctor", TURN[0], moved, *TURN[2:])).completions[0].engine == "a"
    assert (await pool.state()).serving == ("a", "c")


async def test_an_episode_leaves_an_engine_that_has_far_more_to_do_than_the_others() -> None:
    busy, idle = TurnEngine("b"), TurnEngine("a")
    pool, _ = await pool_of(busy, idle)
    busy.open.clear(), idle.open.clear()
    calls = [asyncio.ensure_future(pool.proceed("doctor", *TURN)) for _ in range(60)]
    await settle()
    assert len(idle.asked) > 0 and len(busy.asked) > len(idle.asked)
    busy.open.set(), idle.open.set()
    await asyncio.gather(*calls)


async def test_prompt_tokens_of_later_turns_are_counted_with_those_read_from_the_cache() -> None:
    pool, _ = await pool_of(TurnEngine("b"))
    await pool.proceed("doctor", *TURN)
    counts = (await pool.state()).counts
    assert counts["medserl_later_turn_prompt_tokens_total", ("doctor",)] == 4
    assert counts["medserl_later_turn_cached_tokens_total", ("doctor",)] == 3
