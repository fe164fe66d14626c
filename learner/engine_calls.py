"""Calls of the learner's rank 0 to engines, several at once, each engine failing alone."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, cast

from ray.exceptions import RayError

from common.errors import last_line

if TYPE_CHECKING:
    from learner.handles import EngineHandle, Engines

Call = Callable[["EngineHandle"], Awaitable[Any]]


class Pending:
    """One method, called on several engines at once. `call` gets an engine's id and handle."""

    def __init__(self, method: str, engines: Engines, call: Callable[[str, EngineHandle], Awaitable[Any]]) -> None:
        self._method = method
        self._answers: dict[str, Future[Any]] = {
            engine: cast(Any, call(engine, handle)).future() for engine, handle in engines.items()
        }

    def ended(self) -> set[str]:
        """The engines that have answered or failed."""
        return {engine for engine, answer in self._answers.items() if answer.done()}

    def failed(self, deadline: float) -> dict[str, str]:
        """The error line of each engine that fails, or has not answered at `deadline` (`time.monotonic()`)."""
        left = max(0.0, deadline - time.monotonic())
        wait(self._answers.values(), timeout=left)
        lines = {engine: self._line(answer, left) for engine, answer in self._answers.items()}
        return {engine: line for engine, line in lines.items() if line}

    def answers(self) -> dict[str, Any]:
        """What the engines answered that have answered."""
        return {
            engine: answer.result()
            for engine, answer in self._answers.items()
            if answer.done() and answer.exception() is None
        }

    def _line(self, answer: Future[Any], waited: float) -> str:
        if not answer.done():
            return f"{self._method}: no answer within {waited:.3g} s"
        error = answer.exception()
        if error is not None and not isinstance(error, RayError):
            raise error
        return f"{self._method}: {last_line(error)}" if error is not None else ""


def each(engines: Engines, calls: Mapping[str, Call], timeout: float) -> dict[str, str]:
    """Make `calls` in order on all engines concurrently; an engine that fails gets no further calls.

    `timeout` seconds are one deadline for a call on all engines, so several hanging engines cost no more than one.
    Returns the error line of each engine that failed.
    """
    failures: dict[str, str] = {}
    for method, call in calls.items():
        left = {engine: handle for engine, handle in engines.items() if engine not in failures}
        pending = Pending(method, left, lambda _, handle, call=call: call(handle))  # type: ignore[misc]
        failures |= pending.failed(time.monotonic() + timeout)
    return failures
