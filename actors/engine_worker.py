"""The vLLM side of the weight channel. vLLM imports this module in every worker, as `worker_extension_cls`.

Importing it registers two weight-transfer backends: `shm`, which reads a segment of this machine's shared memory, and
`broadcast`, which receives from the learner's rank 0 over a process group (common/broadcast.py).
"""

from __future__ import annotations

import mmap
import zlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload
from vllm.utils.torch_utils import set_random_seed

from actors.adapter_proof import checksum_in_place
from common.broadcast import BrokenTransfer, Bucket, GroupInfo, Receiver
from common.weights import TensorEntry, checksum

# Without it the first AMX attention batch of four tokens died of SIGILL; a no-op where the processor has no AMX.
torch.cpu._init_amx()


class WorkerExtension:
    """Methods of every worker, called through `collective_rpc`."""

    def received_checksum(self) -> str:
        """Checksum of the last complete update; "" before the first one."""
        engine = self.weight_transfer_engine  # type: ignore[attr-defined]
        return getattr(engine, "received", "")

    def transfer_fault(self) -> str:
        """Why the last update is not complete, or ""."""
        fault: str = self.weight_transfer_engine.fault  # type: ignore[attr-defined]
        return fault

    def abandon_update(self) -> None:
        """Let another update begin: of one that was begun and not finished nothing is kept, complete or not.

        An update can be complete here and in vain, because another engine of its group died in the last bucket.
        """
        self._weight_update_active = False
        self.weight_transfer_engine.reset_weight_update_target()  # type: ignore[attr-defined]

    def adapter_checksum(self, adapter: int, folder: str) -> str:
        """Checksum of an adapter that was loaded, proved from this worker's own LoRA layers."""
        return checksum_in_place(self.model_runner, adapter, Path(folder))  # type: ignore[attr-defined]

    def begin_draws(self, seed: int) -> None:
        """Reset the random state: engines with equal `seed` sample alike from here on.

        Requests have no seed, so vLLM's CPU sampler uses this process's global generator, one draw per sampled token;
        nothing else uses it.
        """
        set_random_seed(seed)


@dataclass
class NoInitInfo(WeightTransferInitInfo):  # type: ignore[misc]
    """Shared memory needs no rendezvous, and a broadcast's is part of each update."""


@dataclass
class ShmUpdateInfo(WeightTransferUpdateInfo):  # type: ignore[misc]
    """A segment's path, its tensor entries as plain lists (msgpack carries them to the worker), and the file that
    names the tensor that is being read."""

    path: str
    tensors: list[dict[str, Any]]
    progress: str


@dataclass
class BroadcastUpdateInfo(WeightTransferUpdateInfo):  # type: ignore[misc]
    """A `GroupInfo` and the `Bucket`s, as plain lists."""

    group: dict[str, Any]
    buckets: list[dict[str, Any]]


class _Reload(WeightTransferEngine[NoInitInfo, Any]):  # type: ignore[misc]
    """Replaces all weights of the served model, layer by layer.

    What is wrong with a transfer is kept in `fault` and not raised: when several workers raise at once, vLLM 0.32's
    executor reads the first answer only, and takes the others for answers to its next call.
    """

    init_info_cls = NoInitInfo
    received = fault = ""

    def init_transfer_engine(self, init_info: NoInitInfo) -> None:
        """Does nothing: no connection outlives the group that an update names."""

    def start_weight_update(self) -> None:
        """Begin a layer-by-layer reload of the served model; `received` is empty until it is complete."""
        self.received = self.fault = ""
        initialize_layerwise_reload(self.model)

    def receive_weights(self, update_info: Any) -> None:
        """Receive and load all tensors. A tensor that is damaged or unknown is named in `fault`."""
        try:
            self.received = self.load(update_info)
        except (BrokenTransfer, ValueError) as error:
            self.fault = str(error)

    @abstractmethod
    def load(self, update_info: Any) -> str:
        """Load all tensors; the checksum of what arrived. Raises ValueError and BrokenTransfer."""

    def finish_weight_update(self) -> None:
        """Activate the reloaded weights, packed copies included."""
        finalize_layerwise_reload(self.model, self.model_config)
        repack_tied_heads(self.model)


class ShmWeightTransferEngine(_Reload):
    """Loads a complete model from a shared-memory segment, checking every tensor before it is used."""

    update_info_cls = ShmUpdateInfo

    def load(self, update_info: ShmUpdateInfo) -> str:
        """Read and load the tensors. Raises ValueError naming a tensor whose bytes differ from those that were sent."""
        entries = [TensorEntry(**{**t, "shape": tuple(t["shape"])}) for t in update_info.tensors]
        with open(update_info.path, "rb") as file:
            # Private, so that torch gets writable memory, which it requires, without a copy; nothing writes to it.
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        progress = Path(update_info.progress)

        def tensors() -> Iterator[tuple[str, torch.Tensor]]:
            for entry in entries:
                progress.write_text(entry.name)
                yield entry.name, _read(view, entry)

        self.model.load_weights(tensors())
        progress.unlink(missing_ok=True)  # tensor-parallel workers share it
        return checksum(entries)

    def shutdown(self) -> None:
        """Does nothing: the mapping ends with the process."""


class BroadcastWeightTransferEngine(_Reload):
    """Loads a complete model from the learner's rank 0, checking every tensor before it is used."""

    update_info_cls = BroadcastUpdateInfo

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._receiver = Receiver(self.parallel_config.rank, str(self.device))

    def load(self, update_info: BroadcastUpdateInfo) -> str:
        """Receive and load the tensors. Raises ValueError naming a damaged one, and BrokenTransfer when others fail."""
        info = msgspec.convert(update_info.group, GroupInfo)
        buckets = msgspec.convert(update_info.buckets, tuple[Bucket, ...])
        self.model.load_weights(self._receiver.tensors(info, buckets))
        return self._receiver.received

    def shutdown(self) -> None:
        """Leave the group."""
        self._receiver.close()


def _read(view: mmap.mmap, entry: TensorEntry) -> torch.Tensor:
    data = memoryview(view)[entry.offset : entry.offset + entry.nbytes]
    if zlib.crc32(data) != entry.crc32:
        raise ValueError(f"weight sync: tensor {entry.name} arrived damaged (crc32 differs from the manifest)")
    return torch.frombuffer(data, dtype=getattr(torch, entry.dtype)).view(entry.shape)


def repack_tied_heads(model: torch.nn.Module) -> None:
    """Repack the CPU copy of a tied `lm_head`.

    Each CPU layer computes with a packed copy of its weight, made after loading. A tied head receives no weights of its
    own, so vLLM's layerwise reload never repacks it and it would keep the old policy (docs/design.md, section 7).
    """
    for module in model.modules():
        if isinstance(module, ParallelLMHead):
            module.quant_method.process_weights_after_loading(module)


for _name, _engine in (("shm", ShmWeightTransferEngine), ("broadcast", BroadcastWeightTransferEngine)):
    if _name not in WeightTransferEngineFactory._registry:
        WeightTransferEngineFactory.register_engine(_name, _engine)
