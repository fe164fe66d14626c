"""A virtual clock for asyncio, and fake Ray actor handles that use it.

When no callback is ready, the loop advances its clock to the next timer instead of waiting, so simulated hours take
only the time of the executed code. Everything is deterministic, so a seed repeats a run exactly.
"""

from __future__ import annotations

import asyncio
import inspect
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ray.exceptions import ActorDiedError, RayError, RayTaskError

Result = TypeVar("Result")


class Stuck(RuntimeError):
    """All tasks wait and no timer is set, so the loop would never end."""


class _Jump(selectors.SelectSelector):
    """Advances the clock to the next timer instead of waiting."""

    now = 0.0  # s

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("everyone waits and no timer is set")
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which starts at 0."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = 1e-6  # s; below it a timer is due. The default is lost in a float after 97 days
        self.unexpected: list[str] = []
        self.set_exception_handler(lambda _, context: self._heard(context))

    def _heard(self, context: dict[str, Any]) -> None:
        """A callback that failed, or a task whose error nobody retrieved: expected only when an actor was killed."""
        if not ("future" in context and isinstance(context.get("exception"), RayError)):
            self.unexpected.append(f"{context['message']}: {context.get('exception')!r}")

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jump.now

    def run_in_executor(  # type: ignore[override]  # asyncio's own has type variables for the arguments
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Runs the function at once: the virtual clock would run ahead of a thread."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except OSError as error:
            future.set_exception(error)
        return future


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` on a new virtual clock; remaining tasks are cancelled. Raises Stuck."""
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(main)
        loop.run_until_complete(end_tasks())
        assert not loop.unexpected, loop.unexpected
        return result
    finally:
        loop.close()


async def end_tasks(*kept: asyncio.Future[Any]) -> None:
    """Cancel every task except this one and `kept`, and wait until they ended."""
    left = asyncio.all_tasks() - {asyncio.current_task(), *kept}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class Handle:
    """`handle.method.remote(...)` on an actor that may be killed.

    A call takes `travel()` seconds to arrive. `service` seconds of each call occupy the actor's single thread, one call
    after another; with `serial` the whole call does, as in an actor without `async` methods. As in Ray, a call
    continues when its caller dies, and raises ActorDiedError when its actor dies.
    """

    def __init__(
        self, actor: Any, travel: Callable[[], float] = lambda: 0.0, service: float = 0.0, serial: bool = False
    ) -> None:
        self.actor, self.travel, self.service = actor, travel, service
        self.serial, self.turn = serial, asyncio.Lock()
        self.dead = False
        self.free_at = 0.0
        self.calls: dict[asyncio.Task[Any], None] = {}  # in order, so that a seed repeats a run

    def __getattr__(self, name: str) -> _Method:
        return _Method(self, name)

    def kill(self) -> None:
        """As `ray.kill`: running calls end, and every later one raises ActorDiedError."""
        self.dead = True
        for call in self.calls:
            call.cancel()

    def arrives(self, now: float) -> float:
        """Seconds until a call that is made now begins."""
        delay = self.travel()
        if self.service:
            self.free_at = max(self.free_at, now + delay) + self.service
            delay = self.free_at - now
        return delay


class _Method:
    def __init__(self, handle: Handle, name: str) -> None:
        self._handle, self._name = handle, name

    def remote(self, *arguments: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if self._handle.serial:
            self._begin(answer, self._run_alone, arguments)
        else:
            loop.call_later(self._handle.arrives(loop.time()), self._begin, answer, self._run, arguments)
        return answer

    def _begin(
        self,
        answer: asyncio.Future[Any],
        run: Callable[[tuple[Any, ...]], Coroutine[Any, Any, Any]],
        arguments: tuple[Any, ...],
    ) -> None:
        call = asyncio.ensure_future(run(arguments))
        self._handle.calls[call] = None
        call.add_done_callback(lambda call: self._answered(call, answer))

    async def _run_alone(self, arguments: tuple[Any, ...]) -> Any:
        async with self._handle.turn:
            await asyncio.sleep(self._handle.arrives(asyncio.get_running_loop().time()))
            return await self._run(arguments)

    async def _run(self, arguments: tuple[Any, ...]) -> Any:
        if self._handle.dead:
            raise ActorDiedError()
        if self._name == "__ray_ready__":  # every actor has it
            return True
        outcome = getattr(self._handle.actor, self._name)(*arguments)
        return await outcome if inspect.isawaitable(outcome) else outcome

    def _answered(self, call: asyncio.Task[Any], answer: asyncio.Future[Any]) -> None:
        self._handle.calls.pop(call, None)
        error = ActorDiedError() if call.cancelled() else call.exception()
        if answer.done():  # the caller is gone
            return
        if error is None:
            answer.set_result(call.result())
        else:
            answer.set_exception(error)
            answer.exception()  # as with Ray, an error that nobody awaits is dropped


def remote_error(cause: Exception) -> RayTaskError:
    """`cause` as Ray raises it at the caller: an instance of both types."""
    error: RayTaskError = RayTaskError("method", f"Traceback of the actor\n{type(cause).__name__}: {cause}", cause)
    return error.as_instanceof_cause()
