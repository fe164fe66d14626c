"""WaitQueue: coroutines that wait and are woken first in, first out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from common.buffer_records import Closed


class WaitQueue:
    """Waking the first costs the same however many wait: no other waiter runs."""

    def __init__(self) -> None:
        self._waiters: dict[asyncio.Future[None], str] = {}  # -> name
        self._retired: set[str] = set()  # names that may not wait again
        self._deaths: Counter[str] = Counter()  # how often a name was declared dead
        self._closed = False
        self.calls = 0  # of `until`, in progress

    def __bool__(self) -> bool:
        return bool(self._waiters)

    async def until(
        self, ready: Callable[[], bool], name: str, look: Callable[[], None], wake: Callable[[], None]
    ) -> None:
        """Return in the same iteration of the event loop in which `ready` is true, so the caller may rely on it.

        `look` is called before each check. A call that ends otherwise calls `wake`: it may have been woken, so
        another must be. Raises Closed when `name` must stop waiting.
        """
        deaths = self._deaths[name]
        self.calls += 1
        try:
            while True:
                look()
                self._check(name, deaths)
                if ready():
                    return
                await self.wait(name)
        except (Closed, asyncio.CancelledError):
            wake()
            raise
        finally:
            self.calls -= 1

    def _check(self, name: str, deaths: int) -> None:
        if self._closed or name in self._retired:
            raise Closed("the replay buffer has no more work for this actor")
        if self._deaths[name] != deaths:
            raise Closed(f"{name} was declared dead")

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
        self._retired.add(name)
        self.wake_all(name)

    def give_up(self, name: str) -> None:
        """The actor of that name is dead: its calls in progress end with Closed."""
        self._deaths[name] += 1
        self.wake_all(name)

    def close(self) -> None:
        """Wake all waiters; nobody may wait again."""
        self._closed = True
        self.wake_all()

    def _wake(self, turns: list[asyncio.Future[None]]) -> None:
        for turn in turns:
            del self._waiters[turn]
            turn.set_result(None)
