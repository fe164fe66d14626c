"""RestartBudget: the budget of a run's restarts, and the pause before each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MAX_RESTARTS = 5
"""Without a newly published step in between: more is not bad luck but a fault."""

LONGEST_PAUSE_SECONDS = 30.0


class BudgetSpent(RuntimeError):
    """Actors died again and again without progress in between: the run ends."""


class RestartBudget:
    """One per run. The first restart comes at once, each further one after twice the pause of the one before."""

    def __init__(self, notify: Callable[[str], None], first_pause_seconds: float = 1.0) -> None:
        self.notify = notify
        self._first_pause_seconds = first_pause_seconds
        self._count = 0
        self._newest = 0

    async def consume(self, fault: str) -> None:
        """Report `fault`, then wait for as long as the next restart must. Raises BudgetSpent when none is left."""
        self._count += 1
        if self._count > MAX_RESTARTS:
            raise BudgetSpent(f"{fault}: gave up after {MAX_RESTARTS} restarts without a published step in between")
        pause = min(self._first_pause_seconds * 2 ** (self._count - 2), LONGEST_PAUSE_SECONDS) if self._count > 1 else 0
        self.notify(f"{fault} in {pause:g} s" if pause else fault)
        await asyncio.sleep(pause)

    def progressed(self, version: int) -> None:
        """`version` was published. If no step came as far before, earlier restarts were bad luck."""
        if version > self._newest:
            self._newest, self._count = version, 0
