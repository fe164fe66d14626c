"""WaitingLine: coroutines that wait for their turn, first come, first called."""

from __future__ import annotations

import asyncio


class WaitingLine:
    """A call reaches one who waits, however many do: the others do not even look up."""

    def __init__(self) -> None:
        self._turns: dict[asyncio.Future[None], str] = {}  # -> who waits
        self.dismissed: set[str] = set()  # who shall not wait any more

    def __bool__(self) -> bool:
        return bool(self._turns)

    async def turn(self, name: str) -> None:
        """Wait to be called. One who is cancelled instead must see to it that the next is called."""
        turn = asyncio.get_running_loop().create_future()
        self._turns[turn] = name
        try:
            await turn
        finally:
            self._turns.pop(turn, None)

    def call_first(self) -> None:
        """Wake the one who has waited longest, if anyone waits."""
        self._call(next(([turn] for turn in self._turns if not turn.done()), []))

    def call_all(self, name: str | None = None) -> None:
        """Everyone, or everyone of that name."""
        self._call([turn for turn, other in self._turns.items() if name in (None, other) and not turn.done()])

    def dismiss(self, name: str) -> None:
        """Call who waits under that name, for the last time."""
        self.dismissed.add(name)
        self.call_all(name)

    def _call(self, turns: list[asyncio.Future[None]]) -> None:
        for turn in turns:
            del self._turns[turn]
            turn.set_result(None)
