from __future__ import annotations

import mmap
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import torch
from ray.exceptions import RayError
from safetensors.torch import load_file
from torch import Tensor

from common.config import LearnerSpec, RunSpec, WeightsSpec
from common.weights import TensorEntry, checksum, progress_file
from learner import senders
from learner.senders import AdapterSender, ShmSender, make_sender
from simulator.fakes import remote_error

TENSORS = {
    "model.embed.weight": torch.arange(15, dtype=torch.bfloat16).reshape(3, 5),
    "model.norm.weight": torch.tensor([0.5, -1.5]),
    "model.turned": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
    "model.scale": torch.tensor(2.0),
}


class Reference:
    """What `.remote()` gives, once the call is over; a call that raises TimeoutError is never answered."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._answer: Future[Any] = Future()

    def remote(self, *arguments: Any) -> Reference:
        try:
            self._answer.set_result(self._call(*arguments))
        except RayError as error:
            self._answer.set_exception(error)
        except TimeoutError:
            pass
        return self

    def future(self) -> Future[Any]:
        return self._answer


class EngineHandle:
    """An engine that reads a segment back as the vLLM worker does; the method that `fault` names raises."""

    def __init__(self, fault: tuple[str, Exception] | None = None) -> None:
        self.calls: list[str] = []
        self.held: dict[str, Tensor] = {}
        self.checksum = ""
        self.adapter: tuple[Any, ...] = ()
        self.fault = fault

    def __getattr__(self, name: str) -> Reference:
        def run(*arguments: Any) -> None:
            self.calls.append(name)
            if self.fault and self.fault[0] == name:
                raise self.fault[1]
            if name == "update_weights":
                self.read(*arguments)
            if name == "load_adapter":
                self.adapter = arguments

        return Reference(run)

    def read(self, info: dict[str, Any]) -> None:
        entries = [TensorEntry(**{**entry, "shape": tuple(entry["shape"])}) for entry in info["tensors"]]
        with open(info["path"], "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
            for entry in entries:
                data = bytearray(view[entry.offset : entry.offset + entry.nbytes])
                if zlib.crc32(data) != entry.crc32:
                    raise remote_error(ValueError(f"weight sync: tensor {entry.name} arrived damaged"))
                self.held[entry.name] = torch.frombuffer(data, dtype=getattr(torch, entry.dtype)).view(entry.shape)
        self.checksum = checksum(entries)


@pytest.fixture
def shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The senders write to a temporary folder."""
    monkeypatch.setattr(senders, "SHARED_MEMORY", tmp_path)
    return tmp_path


def weights() -> Iterator[tuple[str, Tensor]]:
    return iter(TENSORS.items())


def test_an_engine_reads_back_every_tensor_that_was_sent(shared_memory: Path) -> None:
    sender, engine = ShmSender("run-1", 0, weights, 5), EngineHandle()
    assert sender.send(1, {"a": engine}) == {}
    assert engine.calls == ["start_weight_update", "update_weights", "finish_weight_update"]
    assert engine.held.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert engine.held[name].dtype == tensor.dtype and torch.equal(engine.held[name], tensor), name
    assert engine.checksum == sender.checksum()


def test_the_checksum_follows_the_weights(shared_memory: Path) -> None:
    tensor = torch.zeros(4)
    sender = ShmSender("run-1", 0, lambda: iter([("w", tensor)]), 5)
    sender.send(1, {})
    before = sender.checksum()
    tensor[2] = 1
    sender.send(2, {})
    assert sender.checksum() != before


def test_a_damaged_tensor_is_reported_by_engine_call_and_name(shared_memory: Path) -> None:
    class Damaged(EngineHandle):
        def read(self, info: dict[str, Any]) -> None:
            entry = next(entry for entry in info["tensors"] if entry["name"] == "model.norm.weight")
            with open(info["path"], "r+b") as file:
                file.seek(entry["offset"] + 3)
                file.write(b"\xff")
            super().read(info)

    failures = ShmSender("run-1", 0, weights, 5).send(1, {"a": Damaged()})
    assert failures == {"a": "update_weights: ValueError: weight sync: tensor model.norm.weight arrived damaged"}


def test_an_engine_that_fails_takes_no_further_part_and_the_others_continue(shared_memory: Path) -> None:
    bad = EngineHandle(fault=("start_weight_update", TimeoutError()))
    good = EngineHandle()
    failures = ShmSender("run-1", 0, weights, 0.1).send(1, {"bad": bad, "good": good})
    assert failures == {"bad": "start_weight_update: no answer within 0.1 s"}
    assert bad.calls == ["start_weight_update"] and len(good.calls) == 3 and good.held


def test_an_engine_that_hangs_in_a_tensor_is_reported_by_call_and_tensor(shared_memory: Path) -> None:
    class Hangs(EngineHandle):
        def read(self, info: dict[str, Any]) -> None:
            progress_file(Path(info["path"]), "a").write_text("model.norm.weight")
            raise TimeoutError

    sender = ShmSender("run-1", 0, weights, 0.1)
    failures = sender.send(1, {"a": Hangs(), "b": EngineHandle()})
    assert failures == {"a": "update_weights: no answer within 0.1 s (at tensor model.norm.weight)"}
    sender.close()
    assert list(shared_memory.iterdir()) == []


def test_only_rank_0_sends_but_every_rank_walks_the_weights(shared_memory: Path) -> None:
    walked: list[str] = []

    def counted() -> Iterator[tuple[str, Tensor]]:
        for name, tensor in weights():
            walked.append(name)
            yield name, tensor

    engine = EngineHandle()
    sender = ShmSender("run-1", 1, counted, 5)
    assert sender.send(1, {"a": engine}) == {}
    sender.close()
    assert walked == list(TENSORS) and engine.calls == [] and list(shared_memory.iterdir()) == []


def test_close_leaves_nothing_in_shared_memory(shared_memory: Path) -> None:
    sender = ShmSender("run-1", 0, weights, 5)
    sender.send(1, {})
    assert [path.name for path in shared_memory.iterdir()] == ["medserl-run-1-weights"]
    sender.close()
    sender.close()
    assert list(shared_memory.iterdir()) == []


def test_an_adapter_is_a_folder_a_version_and_the_newest_two_stay(shared_memory: Path) -> None:
    saved: list[Path] = []
    sender, engine = AdapterSender("run-1", 0, weights, saved.append, 5), EngineHandle()
    for version in (1, 2, 3):
        assert sender.send(version, {"a": engine}) == {}
    root = shared_memory / "medserl-run-1-adapters"
    assert sorted(path.name for path in root.iterdir()) == ["v2", "v3"] and len(saved) == 3
    assert engine.adapter == (3, str(root / "v3"))
    assert re.fullmatch("[0-9a-f]{8}", sender.checksum())
    stored = load_file(root / "v3" / "adapter_model.safetensors")
    assert all(torch.equal(stored[name], tensor) for name, tensor in TENSORS.items())
    sender.close()
    assert list(shared_memory.iterdir()) == []


def test_the_spec_chooses_the_sender() -> None:
    def made(on: str = "cpu", **weights_spec: Any) -> str:
        fields = {"backend": on, "learner": LearnerSpec(lora_rank=8), "weights": WeightsSpec(**weights_spec)}
        return type(make_sender(RunSpec(**fields), "run", 0, weights, lambda folder: None)).__name__

    assert made() == "ShmSender"
    assert made(transport="adapter") == "AdapterSender"
    assert made(on="cuda") == made(transport="broadcast") == "BroadcastSender"
    assert made(on="cuda", transport="shm") == "ShmSender"
