"""The trainer side of the weight channel: how the learner's tensors reach the engines, one class per transport.

A sender drives the engines' update calls itself (`start_weight_update`, `update_weights`, `finish_weight_update`), so
that shared memory and broadcast look alike from outside. Rank 0 sends; under ZeRO-3 the other ranks iterate the same
tensors, because gathering them is a collective.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import ray
import torch
from torch import Tensor

from common.backends import BACKENDS
from common.config import RunSpec
from common.shared_memory import SHARED_MEMORY, Claim
from common.weights import SegmentWriter, named_checksum, progress_file
from learner.broadcast import BroadcastSender, Link
from learner.engine_calls import Call, each

if TYPE_CHECKING:
    from learner.handles import Engines

Weights = Callable[[], Iterator[tuple[str, Tensor]]]


class Sender(Protocol):
    """Sends one policy_version. `stage` does all work that needs no engine, so that engines pause only for the rest."""

    def stage(self, version: int) -> None:
        """Collective; nothing happens when `version` is staged already."""

    def send(self, version: int, engines: Engines) -> dict[str, str]:
        """Bring `engines` to the current weights; returns the error line of each that failed, by engine id."""

    def checksum(self) -> str:
        """Checksum of what was sent last."""

    def close(self) -> None:
        """Remove all files in shared memory, and close all connections."""


def make_sender(spec: RunSpec, name: str, rank: int, weights: Weights, save_config: Callable[[Path], None]) -> Sender:
    """The sender of `spec.transport`. `name` is part of the names of its files in shared memory."""
    timeout = spec.weights.timeout_seconds
    if spec.transport == "adapter":
        return AdapterSender(name, rank, weights, save_config, timeout)
    if spec.transport == "shm":
        return ShmSender(name, rank, weights, timeout)
    backend = BACKENDS[spec.backend]
    link = Link(
        backend=backend.process_group,
        device=backend.device,
        host=ray.util.get_node_ip_address(),
        timeout=timeout,
        # Engines that wait for one that hangs answer their heartbeats late, but not so late that they are killed.
        bucket_seconds=min(timeout, spec.rollout.silence_seconds) / 4,
    )
    return BroadcastSender(rank, weights, link)


class ShmSender:
    """Whole weights on one machine: a segment in /dev/shm, mapped by every engine."""

    def __init__(self, name: str, rank: int, weights: Weights, timeout: float) -> None:
        self._path = SHARED_MEMORY / f"medserl-{name}-weights"
        self._rank, self._weights, self._timeout = rank, weights, timeout
        self._claim = Claim(self._path)
        self._staged: int | None = None
        self._checksum = ""
        self._info: dict[str, Any] = {}

    def stage(self, version: int) -> None:
        """Write the weights into a segment; on ranks above 0 only take part in gathering them."""
        if self._staged == version:
            return
        self._staged = version
        if self._rank != 0:
            for _ in self._weights():
                pass
            return
        self._claim.hold()
        writer = SegmentWriter(self._path)
        for name, tensor in self._weights():
            data = tensor.detach().cpu().contiguous()
            writer.add(name, str(data.dtype).removeprefix("torch."), tuple(data.shape), _bytes(data))
        manifest = writer.close()
        self._checksum = manifest.checksum
        self._info = {"path": manifest.path, "tensors": [msgspec.to_builtins(entry) for entry in manifest.tensors]}

    def send(self, version: int, engines: Engines) -> dict[str, str]:
        """Have every engine read the segment; the error line of an engine names the tensor that it was reading."""
        self.stage(version)
        if self._rank != 0:
            return {}
        calls: dict[str, Call] = {
            "start_weight_update": lambda engine: engine.start_weight_update.remote(),
            "update_weights": lambda engine: engine.update_weights.remote(self._info),
            "finish_weight_update": lambda engine: engine.finish_weight_update.remote(),
        }
        failures = each(engines, calls, self._timeout)
        return {engine: f"{line}{self._at(engine)}" for engine, line in failures.items()}

    def _at(self, engine: str) -> str:
        """The tensor at which an engine stopped reading, for messages."""
        progress = progress_file(self._path, engine)
        return f" (at tensor {progress.read_text()})" if progress.is_file() else ""

    def checksum(self) -> str:
        """Over every tensor's name and crc32; eight hex digits."""
        return self._checksum

    def close(self) -> None:
        """Remove the segment and the engines' progress files."""
        if self._rank == 0:
            for path in self._path.parent.glob(f"{self._path.name}*"):
                path.unlink(missing_ok=True)
            self._claim.release()


class AdapterSender:
    """Adapter transport: LoRA tensors in a folder per version; the newest few are kept for engines that load late."""

    KEPT = 2

    def __init__(
        self, name: str, rank: int, weights: Weights, save_config: Callable[[Path], None], timeout: float
    ) -> None:
        self._root = SHARED_MEMORY / f"medserl-{name}-adapters"
        self._rank, self._weights, self._timeout = rank, weights, timeout
        self._claim = Claim(self._root, folder=True)
        self._staged: int | None = None
        self._checksum = ""
        self._save_config = save_config

    def stage(self, version: int) -> None:
        """Write the adapter into the folder of this version; on ranks above 0 only take part in gathering it."""
        from safetensors.torch import save_file

        if self._staged == version:
            return
        self._staged = version
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self._weights()}
        if self._rank != 0:
            return
        self._claim.hold()
        folder = self._folder(version)
        folder.mkdir(exist_ok=True)
        save_file(tensors, folder / "adapter_model.safetensors")
        self._save_config(folder)
        self._checksum = named_checksum((name, _bytes(tensor)) for name, tensor in tensors.items())

    def send(self, version: int, engines: Engines) -> dict[str, str]:
        """Have every engine load the adapter, and remove the folder of `KEPT` versions ago."""
        self.stage(version)
        if self._rank != 0:
            return {}
        folder = str(self._folder(version))
        load: Call = lambda engine: engine.load_adapter.remote(version, folder)  # noqa: E731
        failures = each(engines, {"load_adapter": load}, self._timeout)
        shutil.rmtree(self._folder(version - self.KEPT), ignore_errors=True)
        return failures

    def _folder(self, version: int) -> Path:
        return self._root / f"v{version}"

    def checksum(self) -> str:
        """Over every tensor's name and crc32; eight hex digits."""
        return self._checksum

    def close(self) -> None:
        """Remove the adapters of all versions."""
        if self._rank == 0:
            shutil.rmtree(self._root, ignore_errors=True)
            self._claim.release()


def _bytes(tensor: Tensor) -> memoryview:
    # reshape first: a tensor without dimensions cannot be viewed as bytes
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
