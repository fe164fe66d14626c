"""Waiting for remote calls: for two things at once, and who is lost when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ray.exceptions import ObjectLostError, RayActorError

from common.errors import ActorLost, last_line
from common.remote import Remote

Result = TypeVar("Result")


async def both(one: Coroutine[Any, Any, None], other: Coroutine[Any, Any, None]) -> None:
    """Until both are done; what one raises ends the other."""
    works = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
    try:
        await asyncio.gather(*works)
    finally:
        for work in works:
            work.cancel()


async def under(watching: asyncio.Future[Any], work: Coroutine[Any, Any, None]) -> None:
    """Await `work` while the supervisor mends what dies under it; raises what either could not go on from."""
    working = asyncio.ensure_future(work)
    await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        working.cancel()
        watching.result()
    working.result()


def lost_by(error: RayActorError | ObjectLostError) -> ActorLost:
    """Who died, as far as the error of a remote call tells."""
    if isinstance(error, ObjectLostError):  # its owner, the buffer, gave the batch out and died before it was fetched
        return ActorLost("buffer", "the replay buffer died while its batch was on the way")
    return ActorLost("pool", f"an actor died: {last_line(error)}")


async def result(method: Remote[[], Result]) -> Result:
    """What a remote method without arguments answers; as a coroutine, which Ray's answers are not."""
    return await method.remote()
