"""A replay buffer on a fake clock, and what Scribes and Doctors would put into it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from actors.replay_buffer import ReplayBuffer
from common.buffer_records import StoredGroup
from common.config import BufferSpec, FilterSpec
from common.records import Completion, Group, Label, LabelledTask, Limits, Provenance, Rollout, Task
from simulator.rollouts import one_turn, rewarded

LEASE_SECONDS = 100.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def labelled(index: int, note: str = "", vignette: str = "", kind: str = "augmented_safe") -> LabelledTask:
    task = Task(
        env="verdict",
        task_id=f"task-{index}",
        split="train",
        context={"note": note or f"note {index}"},
        limits=Limits(),
        provenance=Provenance(source="bundled", vignette=vignette or f"v{index}", kind=kind),
    )
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={}))


def group(
    of: LabelledTask, doctor: str = "d", versions: tuple[int, ...] = (0,), totals: tuple[float, ...] = (1.0,)
) -> Group:
    def rollout(total: float) -> Rollout:
        completion = Completion(
            text="x",
            token_ids=tuple(range(len(versions))),
            logps=(-1.0,) * len(versions),
            versions=versions,
            finish_reason="stop",
            engine="e",
        )
        return one_turn(completion, rewarded(total, "r", outcome=total))

    return Group(labelled=of, prompt_ids=(1,), rollouts=tuple(map(rollout, totals)), doctor=doctor)


def make(tmp_path: Path, max_lag: int = 1, batch: int = 2, capacity: int = 12, **more: Any) -> ReplayBuffer:
    filters = more.pop("filters", FilterSpec())
    spec = BufferSpec(max_lag=max_lag, capacity=capacity, lease_seconds=LEASE_SECONDS)
    return ReplayBuffer(spec, batch, filters, tmp_path / "journal.jsonl", **more)


def twin(index: int) -> LabelledTask:
    """As `labelled`, with the note before or after it as twin: 2k and 2k+1."""
    return labelled(index, vignette=f"v{index // 2}", kind=("augmented_safe", "augmented_error")[index % 2])


async def fill(buffer: ReplayBuffer, count: int, make_task: Callable[[int], LabelledTask] = labelled) -> None:
    for _ in range(count):
        index = await buffer.claim("s")
        assert await buffer.put_task(index, make_task(index))


async def roll(buffer: ReplayBuffer, count: int) -> None:
    version = buffer.stats()["version"]
    for _ in range(count):
        assert await buffer.put_group(group(await buffer.lease("d"), versions=(version,)))


async def waits(call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    waiting = asyncio.ensure_future(call)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    return waiting


def names(groups: tuple[StoredGroup, ...]) -> list[str]:
    return [each.task_id for each in groups]
