"""The death of an engine, and the failure of one request, as errors that any process can read.

vLLM's own errors can only be unpickled by importing vLLM: seconds in which the event loop of whoever hears of the death
stands still, and half a GiB in a process that has no other use for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)


class EngineDied(RuntimeError):
    """vLLM's core process is gone, and with it whatever ran there."""


class RequestFailed(RuntimeError):
    """One request could not be sampled; the engine serves others."""


def readable_deaths(engine: Class) -> Class:
    """A class whose public coroutine methods raise EngineDied and RequestFailed in the place of vLLM's errors."""
    for name, method in list(vars(engine).items()):
        if inspect.iscoroutinefunction(method) and not name.startswith("_"):
            setattr(engine, name, _readable(method))
    return engine


def _readable(method: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @wraps(method)
    async def call(*arguments: Any, **named: Any) -> Any:
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError  # an engine has vLLM loaded

        try:
            return await method(*arguments, **named)
        except EngineDeadError as error:
            raise EngineDied(f"{type(error).__name__}: {error}") from None
        except EngineGenerateError as error:  # vLLM wraps in it whatever a request raised
            cause = error.__cause__ or error
            raise RequestFailed(f"{type(cause).__name__}: {cause}") from None

    return call
