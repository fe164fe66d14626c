"""The learner's threads: all cores while nobody else computes."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from learner.spare_cores import PAUSE, SHORTEST, SpareCores, call_between


@dataclass
class Machine:
    """A clock and a process on it that gets so many cores of those that it asks for."""

    free: float
    now: float = 0.0
    used: float = 0.0
    threads: int = 1
    chosen: list[int] = field(default_factory=list)

    def cores(self, few: int = 1, most: int = 2) -> SpareCores:
        return SpareCores(few, most, self.set_threads, lambda: self.now, lambda: self.used)

    def set_threads(self, threads: int) -> None:
        self.threads = threads
        self.chosen.append(threads)

    def compute(self, seconds: float) -> None:
        self.now += seconds
        self.used += seconds * min(self.threads, self.free)

    def wait(self, seconds: float) -> None:
        self.now += seconds


def layers(machine: Machine, cores: SpareCores, count: int, seconds: float = 0.05) -> list[int]:
    """The threads that each of `count` layers computes with."""
    used = []
    for _ in range(count):
        used.append(machine.threads)
        machine.compute(seconds)
        cores()
    return used


def test_a_process_alone_computes_with_all_cores() -> None:
    machine = Machine(free=2.0)
    assert layers(machine, machine.cores(), 6) == [1, 2, 2, 2, 2, 2]


def test_beside_a_busy_process_it_keeps_its_half_and_tries_now_and_then() -> None:
    machine = Machine(free=1.0)
    used = layers(machine, machine.cores(), 40)
    assert used[:4] == [1, 2, 1, 1]
    assert 2 <= used.count(2) <= 40 * 0.05 / PAUSE


def test_it_takes_the_cores_when_the_other_process_pauses_and_gives_them_back() -> None:
    machine = Machine(free=1.0)
    cores = machine.cores()
    layers(machine, cores, 5)
    machine.free = 2.0
    assert layers(machine, cores, 30)[-5:] == [2] * 5
    machine.free = 1.0
    assert layers(machine, cores, 4)[1:] == [1, 1, 1]


def test_three_quarters_of_all_cores_are_enough_to_keep_them() -> None:
    machine = Machine(free=1.5)
    assert layers(machine, machine.cores(), 5) == [1, 2, 2, 2, 2]


def test_waiting_is_not_taken_for_a_lack_of_cores() -> None:
    machine = Machine(free=2.0)
    cores = machine.cores()
    layers(machine, cores, 3)
    machine.wait(5.0)
    cores.rest()
    assert layers(machine, cores, 3) == [1, 2, 2]


def test_pieces_that_are_too_short_to_measure_are_joined() -> None:
    machine = Machine(free=2.0)
    assert layers(machine, machine.cores(), 5, SHORTEST / 2 + 1e-4) == [1, 1, 2, 2, 2]


def test_a_process_with_all_cores_sets_no_threads() -> None:
    machine = Machine(free=2.0, threads=2)
    layers(machine, machine.cores(2, 2), 10)
    assert machine.chosen == []


def test_a_model_calls_before_each_layer_and_after_the_backward_pass_of_each() -> None:
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(4)))
    calls = list[int]()
    call_between(model, lambda: calls.append(1))
    output = model(torch.zeros(2, 3))
    assert len(calls) == 4
    output.sum().backward()
    assert len(calls) == 4 + 3, "the first layer's input needs no gradient"
    with torch.no_grad():
        model(torch.zeros(2, 3))
    assert len(calls) == 4 + 3 + 4
