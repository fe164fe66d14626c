from __future__ import annotations

import re
from typing import Any

import psutil
import pytest
import torch

from learner.broadcast import BroadcastSender
from tests.learner.broadcast_world import HASTY, LINK, Engine, Weights, World, world


@pytest.mark.parametrize("workers", [(1,), (1, 1), (1, 1, 1, 1), (2, 2)], ids=str)
def test_every_worker_of_every_engine_holds_every_version(workers: tuple[int, ...]) -> None:
    """(1, 1, 1, 1) are the four engines of node8, (2, 2) is two engines of tensor_parallel 2 on as many GPUs."""
    with world() as here:
        for number, count in enumerate(workers):
            here.add(f"e{number}", count)
        checksums = set[str]()
        for _ in range(3):
            assert here.publish() == {}
            assert all(here.has_all(name) for name in here.engines)
            checksums.add(here.sender.checksum())
        assert len(checksums) == 3


@pytest.mark.integration
@pytest.mark.parametrize(
    ("when", "bucket"), [("in", -1), *((when, bucket) for when in ("before", "in", "after") for bucket in (0, 2))]
)
def test_an_engine_that_is_killed_at_a_bucket_fails_alone(when: str, bucket: int) -> None:
    with world() as here:
        for number in range(4):
            here.add(f"e{number}", fault=f"die {when} {bucket}" if number == 1 else "")
        failures = here.publish()
        assert list(failures) == ["e1"] and failures["e1"].startswith("update_weights: ")
        assert all(here.has_all(name) for name in ("e0", "e2", "e3"))
        failures = here.publish()
        assert list(failures) == ["e1"] and failures["e1"].startswith("start_weight_update: ")
        assert all(here.has_all(name) for name in ("e0", "e2", "e3"))


@pytest.mark.integration
@pytest.mark.parametrize(("when", "bucket"), [("in", -1), ("before", 1), ("in", 1)])
def test_an_engine_that_hangs_at_a_bucket_fails_alone_and_is_named(when: str, bucket: int) -> None:
    with world(HASTY) as here:
        for number in range(3):
            here.add(f"e{number}", fault=f"hang {when} {bucket}" if number == 0 else "")
        failures = here.publish()
        assert list(failures) == ["e0"] and re.match(r"bucket [12]: |forming the group: ", failures["e0"]), failures
        assert here.has_all("e1") and here.has_all("e2")


def test_one_dead_worker_of_two_fails_its_whole_engine_and_no_other() -> None:
    with world() as here:
        here.add("e0", 2, fault="die before 1")
        here.add("e1", 2)
        assert list(here.publish()) == ["e0"]
        assert here.has_all("e1")


def test_rank_0_survives_when_every_engine_dies() -> None:
    with world() as here:
        here.add("e0", fault="die in 0")
        here.add("e1", fault="die before 2")
        assert here.publish().keys() == {"e0", "e1"}
        here.add("e2")
        assert here.publish("e2") == {}
        assert here.has_all("e2")


def test_a_corrupted_bucket_is_caught_by_the_worker_and_the_tensor_named() -> None:
    with world() as here:
        here.add("e0")
        here.add("e1")
        here.weights.version = 1
        here.sender.stage(1)
        here.sender.packed.buffer(1, "cpu")[12_345] ^= 4  # of the memory that is sent: `.to` copies nothing on a CPU
        failures = here.sender.send(1, here.engines)
        assert failures.keys() == {"e0", "e1"}
        assert all("tensor large arrived damaged" in line for line in failures.values())
        assert here.publish() == {} and here.has_all("e0") and here.has_all("e1")


def test_a_corrupted_tensor_at_one_engine_fails_that_engine_alone() -> None:
    class Damaged(Engine):
        def edit(self, info: dict[str, Any]) -> dict[str, Any]:
            first, *others = info["buckets"]
            entry = {**first["tensors"][1], "offset": first["tensors"][1]["offset"] + 64}
            tensors = [first["tensors"][0], entry, *first["tensors"][2:]]
            return {**info, "buckets": [{**first, "tensors": tensors}, *others]}

    with world() as here:
        here.add("e0")
        here.engines["e1"] = Damaged()
        failures = here.publish()
        assert list(failures) == ["e1"] and "tensor norm arrived damaged" in failures["e1"]
        assert here.has_all("e0")


def test_a_dropped_tensor_changes_the_workers_checksum() -> None:
    class Forgetful(Engine):
        def edit(self, info: dict[str, Any]) -> dict[str, Any]:
            first, *others = info["buckets"]
            return {**info, "buckets": [{**first, "tensors": first["tensors"][:-1]}, *others]}

    with world() as here:
        here.engines["e0"] = Forgetful()
        here.add("e1")
        assert here.publish() == {}  # the transfer itself has no complaint
        ((checksum, held),) = here.engines["e0"].ask("held")
        assert len(held) == 4 and checksum and checksum != here.sender.checksum()
        assert here.has_all("e1")


def resources(here: World) -> list[int]:
    """Open files and threads of rank 0, then of the engine that stays."""
    ours, (theirs,) = psutil.Process(), here.engines["stays"].ask("resources")
    return [ours.num_fds(), ours.num_threads(), *theirs]


def most(counts: list[list[int]]) -> list[int]:
    """The largest of each kind."""
    return [max(kind) for kind in zip(*counts, strict=True)]


@pytest.mark.integration
def test_engines_that_join_and_leave_twenty_times_leave_no_group_behind() -> None:
    with world() as here:
        here.add("stays")
        seen = []
        for number in range(21):
            name = f"e{number}"
            here.add(name)
            assert here.publish(name) == {} and here.has_all(name)  # as it joins, alone
            assert here.publish() == {} and here.has_all(name) and here.has_all("stays")
            here.remove(name)
            seen.append(resources(here))
        # Sockets that were closed go a moment later, so single counts vary; a leak would add one for each of 16 joins.
        assert all(end < start + 8 for end, start in zip(most(seen[-5:]), most(seen[:5]), strict=True)), seen


def test_other_ranks_take_part_in_gathering_and_send_nothing() -> None:
    walked: list[str] = []

    def counted() -> Any:
        for name, tensor in Weights()():
            walked.append(name)
            yield name, tensor

    sender = BroadcastSender(1, counted, LINK)
    assert sender.send(1, {"e0": object()}) == {}  # type: ignore[dict-item]
    sender.close()
    assert walked == ["embed", "norm", "turned", "large", "scale"]


def test_the_memory_of_a_version_is_used_again_for_the_next() -> None:
    weights = Weights()
    sender = BroadcastSender(0, weights, LINK)
    sender.stage(1)
    before, checksum = [buffer.data_ptr() for buffer in sender.packed._memory], sender.checksum()
    assert [bucket.tensors[0].name for bucket in sender.packed.buckets] == ["embed", "large", "scale"]
    weights.version = 1
    sender.stage(2)
    assert [buffer.data_ptr() for buffer in sender.packed._memory] == before and sender.checksum() != checksum
    assert torch.equal(sender.packed.buffer(2, "cpu").view(torch.float32), torch.tensor([1.0]))
