"""A replay buffer that hands out what a test gives it and keeps what comes back."""

from __future__ import annotations

from typing import Any

from common.buffer_records import Closed
from common.records import Group, LabelledTask


class FakeBuffer:
    """`work` holds plan indices for `claim` or tasks for `lease`; when it is used up the buffer is closed."""

    def __init__(self, *work: Any) -> None:
        self._work = list(work)
        self.tasks: dict[int, LabelledTask] = {}
        self.groups: list[Group] = []
        self.renewed, self.lost, self.used = 0, False, True
        self.oldest: list[int | None] = []
        self.rejected: list[tuple[Any, ...]] = []
        self.details: list[str] = []

    async def claim(self, _name: str) -> Any:
        return self._next()

    async def lease(self, _name: str) -> Any:
        return self._next()

    def _next(self) -> Any:
        if not self._work:
            raise Closed
        return self._work.pop(0)

    async def put_task(self, index: int, labelled: LabelledTask) -> bool:
        self.tasks[index] = labelled
        return True

    async def reject_claim(self, index: int, reason: str) -> bool:
        self.rejected.append((index, reason))
        return True

    async def renew_lease(self, doctor: str, task_id: str, oldest_version: int | None) -> bool:
        self.renewed += 1
        self.oldest.append(oldest_version)
        return not self.lost

    async def put_group(self, group: Group) -> bool:
        self.groups.append(group)
        return self.used

    async def reject_lease(self, doctor: str, task_id: str, reason: str, detail: str) -> bool:
        self.details.append(detail)
        self.rejected.append((doctor, task_id, reason))
        return True
