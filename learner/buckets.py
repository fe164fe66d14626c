"""The tensors of one policy_version, packed for the broadcast."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from common.broadcast import Bucket, digest
from common.weights import ALIGNMENT, TensorEntry, checksum


class Buckets:
    """Tensors one after another in host memory, in buckets of `size` bytes; the next version uses the memory again.

    A larger tensor has a bucket for itself: vLLM's loaders take whole tensors.
    """

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


def _at_least(nbytes: int, spare: list[Tensor]) -> Tensor:
    """Memory for a bucket: the next of the version before where it is large enough."""
    if spare and spare[0].numel() >= nbytes:
        return spare.pop(0)
    return torch.empty(nbytes, dtype=torch.uint8)
