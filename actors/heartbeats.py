"""Heartbeats of many actors concurrently. An actor that hangs delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from common.records import Record

ROUND_SECONDS = 1.0
"""Maximum duration of a round; slower answers are used in a later round."""

Ask = Callable[[], Awaitable[Any]]


class Unresponsive(RuntimeError):
    """An actor gave no answer for too long."""


class Responses(Record):
    """The outcome of one round, by actor. Actors that have not answered yet are in neither."""

    answers: dict[str, Any]
    faults: dict[str, BaseException]  # what the call raised, or Unresponsive
    asked: dict[str, float]  # loop time of the request, for both


class Heartbeats:
    """Requests heartbeats repeatedly; an actor without an answer for `silence_seconds` is unresponsive."""

    def __init__(self, silence_seconds: float) -> None:
        self._silence_seconds = silence_seconds
        self._calls: dict[str, tuple[asyncio.Future[Any], float]] = {}

    async def round(self, asks: Mapping[str, Ask], patient: Mapping[str, Ask]) -> Responses:
        """Send requests to actors without a pending one, and collect answers. `patient` actors have no time limit."""
        everyone, now = {**asks, **patient}, asyncio.get_running_loop().time
        for name in [name for name in self._calls if name not in everyone]:
            self._calls.pop(name)[0].cancel()
        for name, ask in everyone.items():
            if name not in self._calls:
                self._calls[name] = asyncio.ensure_future(_answer(ask)), now()
                self._calls[name][0].add_done_callback(consume_exception)
        await asyncio.wait([self._calls[name][0] for name in asks], timeout=ROUND_SECONDS)
        responses = Responses(answers={}, faults={}, asked={})
        for name, (call, since) in list(self._calls.items()):
            if call.done():
                if (error := call.exception()) is None:
                    responses.answers[name] = call.result()
                else:
                    responses.faults[name] = error
            elif name in asks and now() - since > self._silence_seconds:
                call.cancel()
                responses.faults[name] = Unresponsive(f"gave no answer for {self._silence_seconds:g} s")
            else:
                continue
            responses.asked[name] = since
            del self._calls[name]
        return responses


def consume_exception(call: asyncio.Future[Any]) -> None:
    """Retrieve the exception of a call that nobody awaits any more, so that asyncio does not log it later."""
    if not call.cancelled():
        call.exception()


async def _answer(ask: Ask) -> Any:
    return await ask()
