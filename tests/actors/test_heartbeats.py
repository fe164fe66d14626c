from __future__ import annotations

import asyncio
import time

import pytest

from actors import heartbeats
from actors.heartbeats import Heartbeats, Unresponsive


class Actor:
    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def ask(self) -> int:
        self.asked += 1
        return await asyncio.shield(self.answer)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "ROUND_SECONDS", 0.01)


async def test_a_round_says_who_answered_and_who_failed_and_keeps_waiting_for_the_slow() -> None:
    well, ill, slow = Actor(), Actor(), Actor()
    well.answer.set_result(3)
    ill.answer.set_exception(KeyError("x"))
    heart = Heartbeats(10)
    asks = {"well": well.ask, "ill": ill.ask, "slow": slow.ask}
    heard = await heart.round(asks, {})
    assert heard.answers == {"well": 3} and isinstance(heard.faults["ill"], KeyError) and "slow" not in heard.faults
    slow.answer.set_result(4)
    assert (await heart.round(asks, {})).answers == {"well": 3, "slow": 4}
    assert (well.asked, slow.asked) == (2, 1)


async def test_only_a_patient_actor_may_be_silent_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    silent, rank = Actor(), Actor()
    heart, clock = Heartbeats(10), [0.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: time.monotonic() + clock[0])
    for later, faults in ((0, set()), (9, set()), (10.5, {"silent"}), (11, set())):
        clock[0] = later
        heard = await heart.round({"silent": silent.ask}, {"rank": rank.ask})
        assert set(heard.faults) == faults and not heard.answers
    assert isinstance(Unresponsive("x"), RuntimeError) and silent.asked == 2 and rank.asked == 1


async def test_who_is_no_longer_asked_is_forgotten() -> None:
    gone, here = Actor(), Actor()
    here.answer.set_result(1)
    heart = Heartbeats(10)
    await heart.round({"gone": gone.ask}, {})
    assert (await heart.round({"here": here.ask}, {})).answers == {"here": 1}
    gone.answer.set_result(2)
    assert (await heart.round({"here": here.ask}, {})).answers == {"here": 1}
