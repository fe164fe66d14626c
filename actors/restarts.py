"""RestartBudget: how many restarts a run may make, and the pause before each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MAX_RESTARTS = 5
"""Maximum restarts without a newly published step in between; more indicate a persistent fault."""

LONGEST_PAUSE_SECONDS = 30.0


class BudgetSpent(RuntimeError):
    """Actors died again and again without progress in between: the run ends."""


class RestartBudget:
    """One per run. The first restart is immediate; the pause before each further one doubles."""

    def __init__(self, notify: Callable[[str], None], first_pause_seconds: float = 1.0) -> None:
        self.notify = notify
        self._first_pause_seconds = first_pause_seconds
        self._count = 0
        self._newest = 0

    async def consume(self, fault: str) -> None:
        """Report `fault`, then wait for the pause before the next restart. Raises BudgetSpent when none is left."""
        self._count += 1
        if self._count > MAX_RESTARTS:
            raise BudgetSpent(f"{fault}: gave up after {MAX_RESTARTS} restarts without a published step in between")
        pause = min(self._first_pause_seconds * 2 ** (self._count - 2), LONGEST_PAUSE_SECONDS) if self._count > 1 else 0
        self.notify(f"{fault} in {pause:g} s" if pause else fault)
        await asyncio.sleep(pause)

    def progressed(self, version: int) -> None:
        """`version` was published: if it is a new maximum, the budget is full again."""
        if version > self._newest:
            self._newest, self._count = version, 0
