"""Calls to all ranks of the learner at once, detecting ranks that died or hang."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from ray.exceptions import RayActorError

from common.errors import ActorLost

Answer = TypeVar("Answer")

DEATH_SECONDS = 10.0
"""Time for a rank's death to be reported; the other ranks fail at once, with errors of their own."""

TIMES_LONGER = 10
"""A call that takes this many times the longest earlier call of its kind counts as hanging."""

FIRST_SECONDS = 6 * 3600.0
"""Deadline of the first call of its kind in a run: a GPU may compile, a CPU may be slow."""


async def of_ranks(doing: str, calls: Sequence[Awaitable[Answer]]) -> list[Answer]:
    """The answers of all ranks, one call per rank. Raises ActorLost when one died, else the first rank's error."""
    answers = [asyncio.ensure_future(_awaited(call)) for call in calls]
    try:
        _, pending = await asyncio.wait(answers, return_when=asyncio.FIRST_EXCEPTION)
        if pending:
            await asyncio.wait(pending, timeout=DEATH_SECONDS)
        for rank, answer in enumerate(answers):
            if answer.done() and isinstance(answer.exception(), RayActorError):
                raise ActorLost("learner", f"learner rank {rank} died while {doing}")
        for answer in answers:
            if answer.done():
                answer.result()  # raises what another rank raised
        return [answer.result() for answer in answers]
    finally:
        for answer in answers:
            answer.cancel()


class AdaptiveDeadline:
    """Deadline of each kind of call: `TIMES_LONGER` times the longest call of that kind in this run, and at least
    `least_seconds`."""

    def __init__(self, least_seconds: float) -> None:
        self._least_seconds = least_seconds
        self._longest: dict[str, float] = {}  # s, by kind

    async def of_ranks(self, doing: str, calls: Sequence[Awaitable[Answer]]) -> list[Answer]:
        """As the function `answers`; also raises ActorLost when the ranks hang."""
        now = asyncio.get_running_loop().time
        began, deadline = now(), self._deadline(doing)
        try:
            async with asyncio.timeout(deadline):
                answers = await of_ranks(doing, calls)
        except TimeoutError as error:
            raise ActorLost("learner", f"the learner gave no answer for {deadline:.0f} s while {doing}") from error
        self._longest[doing] = max(self._longest.get(doing, 0.0), now() - began)
        return answers

    def _deadline(self, doing: str) -> float:
        if doing not in self._longest:
            return max(self._least_seconds, FIRST_SECONDS)
        return max(self._least_seconds, TIMES_LONGER * self._longest[doing])


async def _awaited(call: Awaitable[Answer]) -> Answer:
    return await call
