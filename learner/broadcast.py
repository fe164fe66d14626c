"""The sender of the broadcast transport: weights go to the workers of all engines over one process group.

    stage, while engines sample   the weights are packed into buckets in host memory; a checksum over all tensors
    send, while engines wait      start_weight_update -> each bucket to all workers at once -> finish_weight_update

An engine that dies, hangs or receives damaged bytes fails alone: the attempt ends, and the others get the whole version
in another group, of which it is no member. Nothing here depends on the device: on a CPU gloo does what NCCL does on
GPUs (`Backend.process_group`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from common.broadcast import Group, GroupInfo
from common.records import Record
from learner.broadcast_attempt import Attempt, Members
from learner.buckets import Buckets
from learner.engine_calls import Pending, each

if TYPE_CHECKING:
    from learner.handles import Engines

BUCKET_BYTES = 64 * 2**20
PHASES = 3
"""A send may take this many times the deadline of a phase, whatever fails (learner/channel.py waits for four)."""


class Link(Record):
    """How rank 0 reaches the engines: the group's backend and the device of its tensors, and rank 0's address.

    `timeout` is the deadline of a call to an engine, `bucket_seconds` that of a bucket, both in seconds.
    """

    backend: str
    device: str
    host: str
    timeout: float
    bucket_seconds: float
    bucket_bytes: int = BUCKET_BYTES


class BroadcastSender:
    """Rank 0 packs and sends; under ZeRO-3 the other ranks take part in gathering the weights."""

    def __init__(self, rank: int, weights: Callable[[], Iterator[tuple[str, Tensor]]], link: Link) -> None:
        self._rank, self._weights, self._link = rank, weights, link
        self._staged: int | None = None
        self._group: Group | None = None
        self._members: Members = ()
        self.packed = Buckets(link.bucket_bytes)
        """What is staged."""

    def stage(self, version: int) -> None:
        """Pack the weights; on ranks above 0 only take part in gathering them."""
        if self._staged == version:
            return
        self._staged = version
        if self._rank == 0:
            self.packed.pack(self._weights())
        else:
            for _ in self._weights():
                pass

    def send(self, version: int, engines: Engines) -> dict[str, str]:
        """Bring every engine to the staged weights; an engine's error line says in which call or bucket it failed."""
        self.stage(version)
        if self._rank != 0:
            return {}
        failures: dict[str, str] = {}
        end = time.monotonic() + PHASES * self._link.timeout
        broken, late = "", set[str]()  # why the last attempt was in vain although no engine was at fault, who was late
        left = dict(engines)
        while left:
            why, failed, late_now = self._attempt(left, end)
            failures |= failed
            if not why:
                break
            left = {engine: handle for engine, handle in left.items() if engine not in failures}
            if broken and not failed:
                failed = dict.fromkeys(late & late_now or left, f"{why} (before: {broken})")
                failures |= failed
                left = {engine: handle for engine, handle in left.items() if engine not in failures}
            broken, late = ("", set()) if failed else (why, late_now)
        return failures

    def checksum(self) -> str:
        """Over every tensor's name and digest; eight hex digits."""
        return self.packed.checksum

    def close(self) -> None:
        """Leave the group."""
        if self._group is not None:
            self._group.close()
        self._group, self._members = None, ()

    def _attempt(self, engines: Engines, end: float) -> tuple[str, dict[str, str], set[str]]:
        """Why those that did not fail have not got the version, or "", the error lines of those that failed, and who
        was late."""
        timeout = self._link.timeout
        start = Pending("start_weight_update", engines, lambda _, handle: handle.start_weight_update.remote())
        failures = start.failed(min(time.monotonic() + timeout, end))
        members = tuple(start.answers().items())
        if not members:
            return "", failures, set()
        group, fresh = self._join(members)
        attempt = Attempt(group, members, engines, self.packed, self._link.device)
        why = attempt.send(fresh, end)
        failures |= attempt.failures
        if why:
            self.close()
            return why, failures, attempt.late
        failures |= attempt.update.failed(min(time.monotonic() + timeout, end))
        left = {engine: engines[engine] for engine, _ in members if engine not in failures}
        seconds = max(0.0, min(timeout, end - time.monotonic()))
        failures |= each(left, {"finish_weight_update": lambda handle: handle.finish_weight_update.remote()}, seconds)
        return "", failures, set()

    def _join(self, members: Members) -> tuple[Group, bool]:
        """The group of these engines, and whether it still has to be formed."""
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        if self._group is not None and self._members == members:
            return self._group, False
        self.close()
        link = self._link
        store = TCPStore(link.host, 0, is_master=True, wait_for_workers=False)
        info = GroupInfo(
            name=uuid.uuid4().hex,
            backend=link.backend,
            host=link.host,
            port=store.port,
            world=1 + sum(workers for _, workers in members),
            first_rank=0,
            seconds=link.bucket_seconds,
        )
        self._group, self._members = Group(info, 0, store), members
        return self._group, True
