"""One model that is asked many questions, some at once, with a progress bar."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from actors.episode import Model
from common.config import RunSpec
from evals.core.client import ModelClient
from evals.core.journal import Settings

REPLIES = "replies.jsonl"
Item = TypeVar("Item")


def resolved(
    args: Namespace, spec: RunSpec, console: Console, client: ModelClient, samples: int
) -> tuple[Path, Settings]:
    """The folder of the model that is asked, and what its replies depend on. Makes the --out folder."""
    console.print(f"resolving {spec.model.source}")
    folder, digest = client.resolve(spec)
    args.out.mkdir(parents=True, exist_ok=True)
    return folder, Settings(
        model=args.model,
        checksum=digest,
        dtype=spec.model.concrete_dtype,
        temperature=args.temperature,
        samples=samples,
        max_tokens=spec.sampling.max_tokens,
        seed=spec.seed,
    )


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
