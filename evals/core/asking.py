"""Many questions to one model, some at once, with a progress bar."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from actors.episode import Model

Item = TypeVar("Item")


def ask(
    items: Sequence[Item],
    asking: AbstractAsyncContextManager[Model],
    one: Callable[[Model, Item], Awaitable[None]],
    concurrency: int,
    console: Console,
) -> None:
    """Start the model and ask it `one` of every item, `concurrency` at once.

    Without an item no model is started.
    """
    if not items:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("starting the engine", total=len(items))

        async def all_of_them() -> None:
            async with asking as model:
                progress.update(task, description="asking")
                await each(items, partial(one, model), concurrency, lambda: progress.advance(task))

        asyncio.run(all_of_them())


async def each(
    items: Sequence[Item], one: Callable[[Item], Awaitable[None]], concurrency: int, done: Callable[[], None]
) -> None:
    """`one` of every item, `concurrency` at once; `done` is called after each."""
    gate = asyncio.Semaphore(concurrency)

    async def gated(item: Item) -> None:
        async with gate:
            await one(item)
        done()

    # Not a TaskGroup: its ExceptionGroup would hide the engine's error.
    await asyncio.gather(*(gated(item) for item in items))
