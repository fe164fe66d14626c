"""Heartbeats of many actors at once. An actor that hangs delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from common.records import Record

ROUND_SECONDS = 1.0
"""A round waits no longer than this; slower answers count in a later round."""

Ask = Callable[[], Awaitable[Any]]


class Unresponsive(RuntimeError):
    """An actor gave no answer for too long."""


class Responses(Record):
    """The outcome of one round, by actor. Actors whose answer is still awaited are in neither."""

    answers: dict[str, Any]
    faults: dict[str, BaseException]  # what the call raised, or Unresponsive
    asked: dict[str, float]  # loop time of the request, for both


class Heartbeats:
    """Asks every actor over and over; one that gives no answer for `silence_seconds` is at fault."""

    def __init__(self, silence_seconds: float) -> None:
        self._silence_seconds = silence_seconds
        self._calls: dict[str, tuple[asyncio.Future[Any], float]] = {}

    async def round(self, asks: Mapping[str, Ask], patient: Mapping[str, Ask]) -> Responses:
        """Ask those who are not being asked still, and hear who answers. `patient` ones may take any time."""
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
