from __future__ import annotations

import asyncio

import pytest

from common.errors import ActorLost
from learner.rank_calls import FIRST_SECONDS, AdaptiveDeadline
from simulator import virtual


async def taking(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def hung_after(*seconds: float, least_seconds: float = 120) -> tuple[float, str]:
    """When a call that hangs is given up, after others that took so long; and what is said then."""
    patience, now = AdaptiveDeadline(least_seconds), asyncio.get_running_loop().time
    for each in seconds:
        assert await patience.of_ranks("it trained", [taking(each), taking(0)]) == [each, 0]
    began = now()
    with pytest.raises(ActorLost) as lost:
        await patience.of_ranks("it trained", [taking(0), asyncio.Event().wait()])
    return now() - began, str(lost.value)


def test_ranks_that_take_ten_times_longer_than_ever_before_hang() -> None:
    waited, said = virtual.run(hung_after(20, 30, 25))
    assert waited == 300 and said == "the learner gave no answer for 300 s while it trained"


def test_ranks_that_were_fast_are_given_the_least_seconds() -> None:
    assert virtual.run(hung_after(0.5, 1))[0] == 120


def test_the_first_call_of_a_kind_may_take_hours() -> None:
    assert virtual.run(hung_after())[0] == FIRST_SECONDS
    assert virtual.run(hung_after(7200))[0] == 72000

    async def another_kind() -> list[float]:
        patience = AdaptiveDeadline(1)
        await patience.of_ranks("it trained", [taking(1)])
        return await patience.of_ranks("it wrote a checkpoint", [taking(600)])

    assert virtual.run(another_kind()) == [600]
