"""Engines of this process as the channel, in its loop, and a sender, in another thread, call them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from concurrent.futures import Future
from typing import Any

import psutil
from ray.exceptions import RayError

from actors.engine import Engine
from simulator.fakes import remote_error


class Reference:
    """What `.remote()` gives: it can be awaited, and asked for its future."""

    def __init__(self, call: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> None:
        self._future = asyncio.run_coroutine_threadsafe(_as_ray(call), loop)

    def future(self) -> Future[Any]:
        return self._future

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self._future).__await__()


async def _as_ray(call: Coroutine[Any, Any, Any]) -> Any:
    """Whatever an actor raises reaches its caller as one of Ray's errors."""
    (outcome,) = await asyncio.gather(call, return_exceptions=True)
    if isinstance(outcome, BaseException):
        raise outcome if isinstance(outcome, RayError) else remote_error(outcome)
    return outcome


class Handle:
    """One that `kills` loses its core once update_weights has begun."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine, self._loop = engine, loop
        self.kills = False

    def __getattr__(self, name: str) -> Any:
        return _Method(lambda *arguments: Reference(self._call(name, *arguments), self._loop))

    async def _call(self, name: str, *arguments: Any) -> Any:
        call = asyncio.ensure_future(getattr(self._engine, name)(*arguments))
        if name == "update_weights" and self.kills:
            await asyncio.sleep(0)
            for process in cores(self._engine):
                process.kill()
        return await call


class _Method:
    def __init__(self, call: Any) -> None:
        self.remote = call


def cores(engine: Engine) -> list[psutil.Process]:
    """The processes of vLLM under an engine."""
    manager: Any = engine._llm.engine_core.resources.engine_manager
    return [psutil.Process(process.pid) for process in manager.processes]
