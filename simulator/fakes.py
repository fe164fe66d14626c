"""Stand-ins for Ray actor handles: `handle.method.remote(...)` runs at once, and `kill` ends what is running."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from ray.exceptions import ActorDiedError, RayTaskError


class Handle:
    """A handle as Ray's; `actor` is the plain object behind it."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.dead = asyncio.Event()

    def __getattr__(self, name: str) -> Method:
        return Method(self, name)

    def kill(self) -> None:
        """As `ray.kill`: running calls end, and every later call fails."""
        self.dead.set()


class Method:
    """One method of a handle."""

    def __init__(self, handle: Handle, name: str) -> None:
        self._handle, self._name = handle, name

    def remote(self, *arguments: Any) -> asyncio.Future[Any]:
        """Call the method now. Awaiting raises ActorDiedError once the handle is killed."""
        answer = asyncio.ensure_future(self._call(*arguments))
        answer.add_done_callback(_heard)  # as with Ray, an error that nobody awaits is dropped
        return answer

    async def _call(self, *arguments: Any) -> Any:
        if self._handle.dead.is_set():
            raise ActorDiedError()
        outcome = getattr(self._handle.actor, self._name)(*arguments)
        if not inspect.isawaitable(outcome):
            return outcome
        call, death = asyncio.ensure_future(outcome), asyncio.ensure_future(self._handle.dead.wait())
        call.add_done_callback(_heard)
        await asyncio.wait([call, death], return_when=asyncio.FIRST_COMPLETED)
        (death if call.done() else call).cancel()
        if not call.done():
            raise ActorDiedError()
        return call.result()


def _heard(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()


def remote_error(cause: Exception) -> RayTaskError:
    """`cause` as Ray raises it at the caller: an instance of both types."""
    error: RayTaskError = RayTaskError("method", f"Traceback of the actor\n{type(cause).__name__}: {cause}", cause)
    return error.as_instanceof_cause()


async def settle() -> None:
    """Let everything run that can run."""
    for _ in range(50):
        await asyncio.sleep(0)
