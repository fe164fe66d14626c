"""The weight-sync channel's records and the shared-memory segment format. No torch: tensors travel as bytes.

A segment is one file in /dev/shm with every tensor's bytes back to back, each at a 64-byte boundary. The manifest that
describes it goes through the control plane, so a reader needs no header and can check what it got.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path

from common.records import Record

ALIGNMENT = 64


class TensorEntry(Record):
    """One tensor in a segment: HF checkpoint name, torch dtype name ("bfloat16"), shape, byte range, crc32."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    crc32: int


class Manifest(Record):
    """What a publisher sent for one policy_version; `checksum` is over every tensor's name and crc32."""

    path: str
    tensors: tuple[TensorEntry, ...]
    checksum: str


class Probe(Record):
    """What engines are asked after a sync: to score `canary_ids`, and to sample fresh completions of a prompt."""

    canary_ids: tuple[int, ...]
    prompt_ids: tuple[int, ...]
    completions: int
    max_tokens: int
    temperature: float


class Canary(Record):
    """A fixed token sequence and the learner's log-probs of its tokens 1..T-1 under the policy just published."""

    token_ids: tuple[int, ...]
    logps: tuple[float, ...]

    def gap(self, logps: Iterable[float]) -> float:
        """Mean |difference| against an engine's log-probs of the same tokens, nats."""
        theirs = tuple(logps)
        assert len(theirs) == len(self.logps), (len(theirs), len(self.logps))
        return sum(abs(a - b) for a, b in zip(self.logps, theirs, strict=True)) / len(theirs)


class SyncReport(Record):
    """An engine's own report of its weights after a sync."""

    engine: str
    version: int
    checksum: str
    canary_logps: tuple[float, ...]
    pause_seconds: float


class SyncOutcome(Record):
    """A whole sync: engines that proved the policy, and the reason of each that did not."""

    version: int
    seconds: float
    pause_seconds: float
    canary_gap: float
    proved: tuple[str, ...]
    failures: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every engine proved the policy, and there was one."""
        return bool(self.proved) and not self.failures


def checksum(tensors: Iterable[TensorEntry]) -> str:
    """One checksum over the names and crc32s of `tensors`, in order; eight hex digits."""
    total = 0
    for entry in tensors:
        total = zlib.crc32(f"{entry.name}:{entry.crc32};".encode(), total)
    return f"{total:08x}"


def named_checksum(tensors: Iterable[tuple[str, memoryview]]) -> str:
    """One checksum over names and bytes of tensors, whatever their order; eight hex digits."""
    total = 0
    for name, crc32 in sorted((name, zlib.crc32(data)) for name, data in tensors):
        total = zlib.crc32(f"{name}:{crc32};".encode(), total)
    return f"{total:08x}"


def progress_file(segment: Path, engine: str) -> Path:
    """Where an engine that reads `segment` keeps the name of the tensor it is at; absent while it reads nothing."""
    return segment.with_name(f"{segment.name}.{engine}")


class SegmentWriter:
    """Writes one segment, tensor by tensor, over the one that has its name.

    New shared memory costs several times what copying into it does, so the pages of the version before are used again.
    Engines read a segment only once its sender has sent them the manifest, and check every tensor against it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb")
        self._entries: list[TensorEntry] = []

    def add(self, name: str, dtype: str, shape: tuple[int, ...], data: memoryview) -> None:
        """Append one tensor's bytes, at the next 64-byte boundary. `dtype` is torch's name without `torch.`."""
        offset = -(-self._file.tell() // ALIGNMENT) * ALIGNMENT
        self._file.seek(offset)
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:  # which does not say where
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._entries.append(
            TensorEntry(name=name, dtype=dtype, shape=shape, offset=offset, nbytes=data.nbytes, crc32=zlib.crc32(data))
        )

    def close(self) -> Manifest:
        """Cut the file to its new length; returns the manifest that a reader needs."""
        self._file.truncate()
        self._file.close()
        return Manifest(path=str(self._path), tensors=tuple(self._entries), checksum=checksum(self._entries))
