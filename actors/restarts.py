"""RestartBudget: how many restarts a run may make, and the pause before each."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

MAX_RESTARTS = 5
"""Maximum restarts of one thing without a newly published step in between; more indicate a persistent fault."""

LONGEST_PAUSE_SECONDS = 30.0


class BudgetSpent(RuntimeError):
    """Actors died again and again without progress in between: the run ends."""


class RestartBudget:
    """One per run. The first restart of a thing is immediate; the pause before each further one doubles.

    Every thing that can be lost (a slot of an engine or role actor, the buffer, an attempt of the run) has
    `MAX_RESTARTS` of its own: a machine that takes many of them along costs each of them one.
    """

    def __init__(self, notify: Callable[[str], None], first_pause_seconds: float = 1.0) -> None:
        self.notify = notify
        self._first_pause_seconds = first_pause_seconds
        self._counts: Counter[str] = Counter()
        self._newest = 0

    def spend(self, fault: str, what: str = "", actor: str = "") -> float:
        """Report `fault`, with the log of the actor that died; the seconds to wait before `what` restarts.

        Raises BudgetSpent when it has none left.
        """
        self._counts[what] += 1
        count, log = self._counts[what], log_of(actor)
        if count > MAX_RESTARTS:
            raise BudgetSpent(
                f"{fault}: gave up after {MAX_RESTARTS} restarts without a published step in between{log}"
            )
        pause = min(self._first_pause_seconds * 2 ** (count - 2), LONGEST_PAUSE_SECONDS) if count > 1 else 0
        self.notify(f"{fault} in {pause:g} s{log}" if pause else f"{fault}{log}")
        return pause

    async def consume(self, fault: str, what: str = "", actor: str = "") -> None:
        """`spend`, and wait."""
        await asyncio.sleep(self.spend(fault, what, actor))

    def progressed(self, version: int) -> None:
        """`version` was published: if it is a new maximum, all budgets are full again."""
        if version > self._newest:
            self._newest = version
            self._counts.clear()


def log_of(actor: str) -> str:
    """Where an actor wrote what it did, as an addition to a message: its file in the run's folder."""
    return f" (logs/{actor}.log)" if actor else ""
