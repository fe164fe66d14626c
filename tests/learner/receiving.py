"""Workers of engines as processes without vLLM: each receives broadcasts and keeps what arrived; some have a fault."""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import psutil
import torch
from torch import Tensor

from common.broadcast import FORM, Bucket, Group, GroupInfo, Receiver


class FaultyReceiver(Receiver):
    """Dies or stops at a bucket: `fault` is for example "die before 1", "die in 1", "die after 1" or "hang in 1".

    -1 stands for forming the group.
    """

    def __init__(self, worker: int, fault: str) -> None:
        super().__init__(worker, "cpu")
        self._what, self._when, self._bucket = fault.split() if fault else ("", "", "-9")

    def _together(self, group: Group, number: int, collective: Callable[[], None]) -> None:
        if number == FORM == int(self._bucket):
            if self._when == "in":
                group.say(number)
                group.answered()
            self._fail()
        super()._together(group, number, collective)

    def _receive(self, group: Group, number: int, bucket: Bucket) -> Tensor:
        here = number == int(self._bucket)
        if here and self._when == "before":
            self._fail()
        if here and self._when == "in":
            group.say(number)
            group.answered()
            group._ends.broadcast(torch.empty(bucket.nbytes, dtype=torch.uint8), 0)
            self._fail()
        buffer = super()._receive(group, number, bucket)
        if here:
            self._fail()
        return buffer

    def _fail(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP if self._what == "hang" else signal.SIGKILL)


def hash_of(tensor: Tensor) -> int:
    """Of type, shape and bytes."""
    data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return zlib.crc32(f"{tensor.dtype} {tuple(tensor.shape)}".encode() + data)


class Worker:
    """What the calls to an engine do in one of its workers."""

    def __init__(self, worker: int, fault: str) -> None:
        self._receiver = FaultyReceiver(worker, fault)
        self._arriving: dict[str, Tensor] = {}
        self._held: dict[str, Tensor] = {}

    def start_weight_update(self) -> None:
        self._arriving = {}

    def update_weights(self, info: dict[str, Any]) -> None:
        group = msgspec.convert(info["group"], GroupInfo)
        buckets = msgspec.convert(info["buckets"], tuple[Bucket, ...])
        self._arriving |= self._receiver.tensors(group, buckets)

    def finish_weight_update(self) -> None:
        self._held = self._arriving

    def held(self) -> tuple[str, dict[str, int]]:
        """The checksum, and a hash of each tensor that has no code in common with it."""
        return self._receiver.received, {name: hash_of(tensor) for name, tensor in self._held.items()}

    def resources(self) -> tuple[int, int]:
        """Open files and threads of this process."""
        return psutil.Process().num_fds(), psutil.Process().num_threads()


def serve(pipe: Connection, worker: int, fault: str) -> None:
    """Answer calls until the pipe closes."""
    torch.set_num_threads(1)
    target = Worker(worker, fault)
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((getattr(target, method)(*arguments), None))
        except (ValueError, RuntimeError) as error:
            pipe.send((None, error))
