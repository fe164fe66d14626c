"""WaitQueue: coroutines that wait and are woken first in, first out."""

from __future__ import annotations

import asyncio


class WaitQueue:
    """Waking the first costs the same however many wait: no other waiter runs."""

    def __init__(self) -> None:
        self._waiters: dict[asyncio.Future[None], str] = {}  # -> name
        self.retired: set[str] = set()  # names that may not wait again

    def __bool__(self) -> bool:
        return bool(self._waiters)

    async def wait(self, name: str) -> None:
        """Wait to be woken. A caller that is cancelled instead must wake the next one."""
        turn = asyncio.get_running_loop().create_future()
        self._waiters[turn] = name
        try:
            await turn
        finally:
            self._waiters.pop(turn, None)

    def wake_first(self) -> None:
        """Wake the longest waiter, if there is one."""
        self._wake(next(([turn] for turn in self._waiters if not turn.done()), []))

    def wake_all(self, name: str | None = None) -> None:
        """Wake all waiters, or all of that name."""
        self._wake([turn for turn, other in self._waiters.items() if name in (None, other) and not turn.done()])

    def retire(self, name: str) -> None:
        """Wake all waiters of that name, which may not wait again."""
        self.retired.add(name)
        self.wake_all(name)

    def _wake(self, turns: list[asyncio.Future[None]]) -> None:
        for turn in turns:
            del self._waiters[turn]
            turn.set_result(None)
