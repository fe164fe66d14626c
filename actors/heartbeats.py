"""Pulse: the heartbeats of many actors at once. One that hangs holds up nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from common.records import Record

ROUND_SECONDS = 1.0
"""A round waits no longer for the slow ones; they are heard in a later round."""

Ask = Callable[[], Awaitable[Any]]


class Silent(RuntimeError):
    """An actor gave no answer for too long."""


class Round(Record):
    """What a round heard, by actor. Who is still being waited for is in neither."""

    answers: dict[str, Any]
    faults: dict[str, BaseException]  # what the call raised, or Silent
    asked: dict[str, float]  # loop time at which those who answer or are at fault were asked


class Pulse:
    """Asks every actor over and over; one that gives no answer for `silence_seconds` is at fault."""

    def __init__(self, silence_seconds: float) -> None:
        self._silence_seconds = silence_seconds
        self._calls: dict[str, tuple[asyncio.Future[Any], float]] = {}

    async def round(self, asks: Mapping[str, Ask], patient: Mapping[str, Ask]) -> Round:
        """Ask those who are not being asked still, and hear who answers. `patient` ones may take any time."""
        everyone, now = {**asks, **patient}, asyncio.get_running_loop().time
        for name in [name for name in self._calls if name not in everyone]:
            self._calls.pop(name)[0].cancel()
        for name, ask in everyone.items():
            if name not in self._calls:
                self._calls[name] = asyncio.ensure_future(_answer(ask)), now()
                self._calls[name][0].add_done_callback(heard_of)
        await asyncio.wait([self._calls[name][0] for name in asks], timeout=ROUND_SECONDS)
        heard = Round(answers={}, faults={}, asked={})
        for name, (call, since) in list(self._calls.items()):
            if call.done():
                if (error := call.exception()) is None:
                    heard.answers[name] = call.result()
                else:
                    heard.faults[name] = error
            elif name in asks and now() - since > self._silence_seconds:
                call.cancel()
                heard.faults[name] = Silent(f"gave no answer for {self._silence_seconds:g} s")
            else:
                continue
            heard.asked[name] = since
            del self._calls[name]
        return heard


def heard_of(call: asyncio.Future[Any]) -> None:
    """The error of one that nobody asks about any more must not be told at some later time."""
    if not call.cancelled():
        call.exception()


async def _answer(ask: Ask) -> Any:
    return await ask()
