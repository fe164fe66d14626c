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

import msgspec
import torch
from torch import Tensor

from common.broadcast import FORM, POLL_SECONDS, STOP, Bucket, Group, GroupInfo, digest, place
from common.records import Record
from common.weights import ALIGNMENT, TensorEntry, checksum
from learner.engine_calls import Pending, each

if TYPE_CHECKING:
    from learner.handles import Engines

BUCKET_BYTES = 64 * 2**20
"""A larger tensor has a bucket for itself: vLLM's loaders take whole tensors."""
PHASES = 3
"""A send may take this many times the deadline of a phase, whatever fails (learner/channel.py waits for four)."""


class Link(Record):
    """How rank 0 reaches the engines: the group's backend and the device of its tensors, rank 0's address, the deadlines
    of a call to an engine and of a bucket, seconds, and the size of a bucket."""

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
        self._packed = Buckets(link.bucket_bytes)
        self._group: Group | None = None
        self._members: tuple[tuple[str, int], ...] = ()  # engines and their numbers of workers, in the order of ranks

    def stage(self, version: int) -> None:
        """Pack the weights; on ranks above 0 only take part in gathering them."""
        if self._staged == version:
            return
        self._staged = version
        if self._rank == 0:
            self._packed.pack(self._weights())
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
        broken = ""  # why the last attempt was in vain although no engine was at fault
        left = dict(engines)
        while left:
            attempt = _Attempt(self, left, end)
            why = attempt.run()
            failures |= attempt.failures
            if not why:
                break
            left = {engine: handle for engine, handle in left.items() if engine not in failures}
            if broken and not attempt.failures:
                failures |= dict.fromkeys(left, f"{why} (also before: {broken})")
                break
            broken = "" if attempt.failures else why
        return failures

    def checksum(self) -> str:
        """Over every tensor's name and digest; eight hex digits."""
        return self._packed.checksum

    def close(self) -> None:
        """Leave the group."""
        if self._group is not None:
            self._group.close()
        self._group, self._members = None, ()

    def join(self, members: tuple[tuple[str, int], ...]) -> tuple[Group, bool]:
        """The group of these engines, and whether it still has to be formed."""
        if self._group is not None and self._members == members:
            return self._group, False
        self.close()
        from torch.distributed import TCPStore

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

    @property
    def link(self) -> Link:
        """How the engines are reached."""
        return self._link

    @property
    def packed(self) -> Buckets:
        """What is staged."""
        return self._packed


class Buckets:
    """The tensors of one version, one after another in host memory, which the next version uses again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._memory: list[Tensor] = []
        self.buckets: tuple[Bucket, ...] = ()
        self.checksum = ""

    def pack(self, weights: Iterator[tuple[str, Tensor]]) -> None:
        """Replace the content by `weights`."""
        memory, self._memory = self._memory, []
        packed: list[list[TensorEntry]] = []
        used = 0
        for name, tensor in weights:
            data = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
            start = -(-used // ALIGNMENT) * ALIGNMENT
            if not self._memory or start + data.numel() > self._memory[-1].numel():
                self._memory.append(_at_least(max(self._size, data.numel()), memory))
                packed.append([])
                start = 0
            used = start + data.numel()
            kept = self._memory[-1][start:used]
            kept.copy_(data)
            packed[-1].append(
                TensorEntry(
                    name=name,
                    dtype=str(tensor.dtype).removeprefix("torch."),
                    shape=tuple(tensor.shape),
                    offset=start,
                    nbytes=data.numel(),
                    crc32=digest(kept),
                )
            )
        self.buckets = tuple(
            Bucket(nbytes=entries[-1].offset + entries[-1].nbytes, tensors=tuple(entries)) for entries in packed
        )
        self.checksum = checksum(entry for entries in packed for entry in entries)

    def buffer(self, number: int, device: str) -> Tensor:
        """The bytes of a bucket on a device, uint8 [nbytes]."""
        return self._memory[number][: self.buckets[number].nbytes].to(device)


class _Attempt:
    """One try to bring some engines to what is staged."""

    def __init__(self, sender: BroadcastSender, engines: Engines, end: float) -> None:
        self._sender, self._engines, self._end = sender, engines, end
        self._broken = set[str]()  # engines of which a worker said that the group broke
        self.failures: dict[str, str] = {}

    def run(self) -> str:
        """Add to `failures`; returns why the engines that are not among them have not got the version, or ""."""
        timeout = self._sender.link.timeout
        start = Pending("start_weight_update", self._engines, lambda _, handle: handle.start_weight_update.remote())
        self.failures |= start.failed(self._by(timeout))
        members = tuple(start.answers().items())
        if not members:
            return ""
        self._group, fresh = self._sender.join(members)
        self._owners = [engine for engine, workers in members for _ in range(workers)]  # of rank 1, 2, ...
        left = self._left()
        info = self._info(members)
        self._update = Pending("update_weights", left, lambda engine, handle: handle.update_weights.remote(info[engine]))
        if why := self._transfer(fresh):
            self._settle(why)
            return why
        self.failures |= self._update.failed(self._by(timeout))
        calls = {"finish_weight_update": lambda handle: handle.finish_weight_update.remote()}
        self.failures |= each(self._left(), calls, max(0.0, self._by(timeout) - time.monotonic()))
        return ""

    def _info(self, members: tuple[tuple[str, int], ...]) -> dict[str, dict[str, object]]:
        """What each engine is told about the group and the buckets."""
        buckets = msgspec.to_builtins(self._sender.packed.buckets)
        told: dict[str, dict[str, object]] = {}
        rank = 1
        for engine, workers in members:
            info = msgspec.structs.replace(self._group.info, first_rank=rank)
            told[engine] = {"group": msgspec.to_builtins(info), "buckets": buckets}
            rank += workers
        return told

    def _transfer(self, fresh: bool) -> str:
        """Send all buckets; returns what went wrong first, or ""."""
        numbers = range(FORM if fresh else 0, len(self._sender.packed.buckets))
        for number in numbers:
            if why := self._await_ready(number):
                return why
            self._group.answer(number)
            try:
                if number == FORM:
                    self._group.form()
                else:
                    self._group.broadcast(self._sender.packed.buffer(number, self._sender.link.device))
            except RuntimeError as error:
                return f"{place(number)}: {str(error).splitlines()[0]}"
        return ""

    def _await_ready(self, number: int) -> str:
        """Wait until every worker is ready for this collective; returns what is wrong, or ""."""
        waiting = set(range(1, self._group.info.world))
        deadline = self._by(self._sender.link.bucket_seconds)
        while waiting:
            message = self._group.heard()
            if message is not None:
                rank, words = message
                if words != str(number):
                    self._broken.add(self._owners[rank - 1])
                    return f"{place(number)}: {words}"
                waiting.discard(rank)
            elif ended := {self._owners[rank - 1] for rank in waiting} & self._update.ended():
                return f"{place(number)}: {', '.join(sorted(ended))} failed"
            elif time.monotonic() > deadline:
                late = sorted({self._owners[rank - 1] for rank in waiting})
                seconds = self._sender.link.bucket_seconds
                self.failures |= dict.fromkeys(late, f"{place(number)}: not ready for it within {seconds:g} s")
                return f"{place(number)}: {', '.join(late)} not ready"
            else:
                time.sleep(POLL_SECONDS)
        return ""

    def _settle(self, why: str) -> None:
        """End the attempt. Engines that fail by themselves, or do not answer, are at fault; the others may try again."""
        self._group.answer(STOP)
        late = dict(self.failures)
        # A worker that waits inside a collective ends with it, one that waits for an answer gets it now.
        ended = {}
        deadline = self._by(self._sender.link.bucket_seconds + 1)
        while self._left().keys() - self._update.ended() and time.monotonic() < deadline:
            self._hear()
            time.sleep(POLL_SECONDS)
        self._hear()
        ended = self._update.failed(time.monotonic())
        for engine, line in ended.items():
            if engine not in late and engine not in self._broken:
                told = line if engine in self._update.ended() else f"{why}; it gave no answer"
                self.failures[engine] = told
        self._sender.close()

    def _hear(self) -> None:
        while message := self._group.heard():
            rank, words = message
            if words.startswith("broken"):
                self._broken.add(self._owners[rank - 1])

    def _left(self) -> Engines:
        return {engine: handle for engine, handle in self._engines.items() if engine not in self.failures}

    def _by(self, seconds: float) -> float:
        return min(time.monotonic() + seconds, self._end)


def _at_least(nbytes: int, spare: list[Tensor]) -> Tensor:
    """Memory for a bucket: the next of the version before where it is large enough."""
    if spare and spare[0].numel() >= nbytes:
        return spare.pop(0)
    return torch.empty(nbytes, dtype=torch.uint8)
