"""The process group over which the learner's rank 0 sends weights to the workers of all engines, seen from both ends.

Rank 0 is the sender; each worker (an engine has one for each of its tensor-parallel ranks) has a rank of its own. The
group is no part of torch's default one, so it can be formed and closed while others live. Before each collective every
worker reports that it is ready and rank 0 answers `go`, both through the group's store: a worker that is dead or hangs
is known by name before the others wait for it inside a collective, where gloo and NCCL know no names.

torch is imported where it is used: the driver imports `common`.
"""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from common.records import Record
from common.weights import TensorEntry, checksum

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = 1024  # 8-byte words
POLL_SECONDS = 0.0005
FORM = -1
"""Stands for forming the group where otherwise the number of a bucket is."""
STOP = "stop"


class BrokenTransfer(RuntimeError):
    """The group broke, or rank 0 stopped it, without a fault of the worker that raises this."""


class GroupInfo(Record):
    """A group, as rank 0 announces it to an engine whose workers are ranks `first_rank`, `first_rank` + 1, ..."""

    name: str
    backend: str  # gloo, nccl
    host: str
    port: int  # of its store
    world: int  # workers of all engines + 1
    first_rank: int
    seconds: float  # deadline of each bucket


class Bucket(Record):
    """Whole tensors that travel together; the offsets of `tensors` are within the bucket."""

    nbytes: int
    tensors: tuple[TensorEntry, ...]


class Group:
    """One end of a group. `rank` 0 makes the store at a free port, the others connect to it."""

    def __init__(self, info: GroupInfo, rank: int, store: Any) -> None:
        self.info, self.rank = info, rank
        self._store: Any = store
        self._ends: Any = None

    @classmethod
    def open(cls, info: GroupInfo, rank: int) -> Group:
        """A worker's end. Raises BrokenTransfer when the store does not answer in time."""
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        # Rank 0 answers once a collective and its waiting for all others, each up to the deadline, are over.
        try:
            store = TCPStore(
                info.host, info.port, is_master=False, wait_for_workers=False, timeout=_seconds(3 * info.seconds)
            )
        except RuntimeError as error:
            raise BrokenTransfer(f"weight sync: {_first_line(error)}") from error
        return cls(info, rank, store)

    def form(self) -> None:
        """Connect to all other ranks. A collective."""
        from torch.distributed import PrefixStore  # type: ignore[attr-defined]

        make = {"gloo": _gloo, "nccl": _nccl}[self.info.backend]
        waits = self._store.timeout
        self._store.set_timeout(_seconds(self.info.seconds))
        self._ends = make(PrefixStore("group", self._store), self.rank, self.info)
        self._store.set_timeout(waits)

    def broadcast(self, buffer: Tensor) -> None:
        """Send (rank 0) or receive `buffer`. Raises RuntimeError when it is not done by the deadline. A collective."""
        deadline = time.monotonic() + self.info.seconds
        work = self._ends.broadcast(buffer, 0, _seconds(self.info.seconds))
        # NCCL's wait() only orders streams, so both backends are asked until they are done. gloo ends by itself at the
        # deadline, before which its threads cannot be joined.
        while not work.is_completed():
            if time.monotonic() > deadline + 1:
                self._ends.abort()
                raise RuntimeError(f"not done within {self.info.seconds:g} s")
            time.sleep(POLL_SECONDS)
        work.wait()

    def say(self, number: int | str) -> None:
        """A worker tells rank 0 the bucket that it is ready for, or what broke."""
        self._store.queue_push("said", f"{self.rank} {number}")

    def heard(self) -> tuple[int, str] | None:
        """What a worker said, with its rank; None when all has been heard. Rank 0 only."""
        from torch.distributed import QueueEmptyError

        try:
            rank, _, words = self._store.queue_pop("said", False).decode().partition(" ")
        except QueueEmptyError:
            return None
        return int(rank), words

    def answer(self, words: int | str) -> None:
        """Tell every worker to enter the collective of bucket `words`, or to STOP. Rank 0 only."""
        for rank in range(1, self.info.world):
            self._store.queue_push(f"answer/{rank}", str(words))

    def answered(self) -> str:
        """Wait for rank 0's next answer."""
        words: bytes = self._store.queue_pop(f"answer/{self.rank}")
        return words.decode()

    def close(self) -> None:
        """Close the connections, and at rank 0 the store."""
        if self._ends is not None:
            self._ends.abort()
        self._ends = self._store = None


class Receiver:
    """A worker's end of the broadcast: keeps its group as long as rank 0 names the same one."""

    def __init__(self, worker: int, device: str) -> None:
        """`worker` is the tensor-parallel rank within its engine, `device` where buckets arrive."""
        self._worker, self._device = worker, device
        self._group: Group | None = None
        self.received = ""
        """Checksum over all tensors of the last complete transfer, from the bytes that arrived; else ""."""

    def tensors(self, info: GroupInfo, buckets: Iterable[Bucket]) -> Iterator[tuple[str, Tensor]]:
        """The tensors of one policy_version, as they arrive; each stays valid after the next.

        Raises ValueError naming a tensor whose bytes differ from those that were sent, and BrokenTransfer.
        """
        self.received = ""
        group = self._join(info)
        arrived: list[TensorEntry] = []
        for number, bucket in enumerate(buckets):
            buffer = self._receive(group, number, bucket)
            for entry in bucket.tensors:
                tensor = _view(buffer, entry)
                found = digest(tensor)
                if found != entry.crc32:
                    raise ValueError(f"weight sync: tensor {entry.name} arrived damaged (its digest differs)")
                arrived.append(entry)
                yield entry.name, tensor
        self.received = checksum(arrived)

    def close(self) -> None:
        """Leave the group."""
        if self._group is not None:
            self._group.close()
        self._group = None

    def _join(self, info: GroupInfo) -> Group:
        if self._group is not None and self._group.info == info:
            return self._group
        self.close()
        self._group = group = Group.open(info, info.first_rank + self._worker)
        self._together(group, FORM, group.form)
        return group

    def _receive(self, group: Group, number: int, bucket: Bucket) -> Tensor:
        import torch

        # A new one each time: vLLM keeps views of it until it has all weights of a layer.
        buffer = torch.empty(bucket.nbytes, dtype=torch.uint8, device=self._device)
        self._together(group, number, lambda: group.broadcast(buffer))
        return buffer

    def _together(self, group: Group, number: int, collective: Callable[[], None]) -> None:
        """Enter a collective once all are ready for it."""
        try:
            group.say(number)
            words = group.answered()
            if words == str(number):
                collective()
                return
        except RuntimeError as error:
            self._break(group, _first_line(error))
            raise BrokenTransfer(f"weight sync: {place(number)}: {_first_line(error)}") from error
        self._break(group, words)
        raise BrokenTransfer(f"weight sync: {place(number)}: rank 0 said {words}")

    def _break(self, group: Group, why: str) -> None:
        with suppress(RuntimeError):  # rank 0 has closed the store, and is not interested
            group.say(f"broken {why}")
        self.close()


def place(number: int) -> str:
    """Where in a transfer something happened, for messages."""
    return "forming the group" if number == FORM else f"bucket {number}"


def digest(tensor: Tensor) -> int:
    """32 bits over the bytes of a contiguous tensor of any dtype and device, the same on each.

    The bytes, as rows of COLUMNS 8-byte words, are added up by rows and by columns (modulo 2^64), the sums weighted by
    odd numbers: a changed word, and words that changed places, change at least one. zlib's crc32 reads 1.7 GiB/s on one
    core and would need a GPU's bytes on the host; this reads what torch's `sum` does.
    """
    import torch

    raw = tensor.reshape(-1).view(torch.uint8)
    whole = raw.numel() // (8 * COLUMNS) * 8 * COLUMNS
    words = raw[:whole].view(torch.int64).view(-1, COLUMNS)
    rest = torch.zeros(8 * COLUMNS, dtype=torch.uint8, device=raw.device)
    rest[: raw.numel() - whole] = raw[whole:]
    last = rest.view(torch.int64)
    rows = torch.cat([words.sum(1), last.sum().reshape(1)])
    columns = words.sum(0) + last
    sums = torch.stack([_weighted(rows), _weighted(columns)]).tolist()
    return zlib.crc32(f"{raw.numel()} {sums[0]} {sums[1]}".encode())


def _weighted(sums: Tensor) -> Tensor:
    import torch

    return (sums * (2 * torch.arange(len(sums), device=sums.device) + 1)).sum()


def _view(buffer: Tensor, entry: TensorEntry) -> Tensor:
    import torch

    data = buffer[entry.offset : entry.offset + entry.nbytes]
    return data.view(getattr(torch, entry.dtype)).view(entry.shape)


def _gloo(store: Any, rank: int, info: GroupInfo) -> Any:
    from torch.distributed import ProcessGroupGloo

    options = ProcessGroupGloo._Options()  # type: ignore[attr-defined]
    options._timeout = _seconds(info.seconds)
    options._threads = 1
    options._devices = [ProcessGroupGloo.create_device(hostname=_own_address(info))]
    return ProcessGroupGloo(store, rank, info.world, options)


def _nccl(store: Any, rank: int, info: GroupInfo) -> Any:
    from torch.distributed import ProcessGroupNCCL

    options = ProcessGroupNCCL.Options()
    options._timeout = _seconds(info.seconds)
    return ProcessGroupNCCL(store, rank, info.world, options)


def _own_address(info: GroupInfo) -> str:
    """The address of this machine on its way to rank 0; the name of a machine often stands for 127.0.1.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((info.host, info.port))
        address: str = way.getsockname()[0]
    return address


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:300]
