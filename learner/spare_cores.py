"""Threads of a learner that computes beside engines on a CPU: half of the cores, and all while the others are idle.

Two processes that compute with all cores each are slower than with half of them, because in each all threads wait for
the one whose core the other process uses. But engines wait for the learner now and then, and then half of the cores
would do nothing. So the learner tries all cores from one layer of the model to the next, and goes back to its half when
it does not get them. It measures only itself, so that a container's quota counts like another process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

SHORTEST = 0.02
"""Seconds over which it measures; shorter pieces of work are joined."""
LEAST_GAIN = 0.25
"""Of the cores that are not its own, the share that it must get. Beside a busy engine it gets none: its other threads
wait for those that have no core. Alone it gets more than half, because not everything is computed by all threads."""
PAUSE = 0.5
"""Seconds until all cores are tried again. A failed try costs the time of a layer, some tens of milliseconds."""


class SpareCores:
    """Call it between any two pieces of work, on the thread that computes."""

    def __init__(
        self,
        few: int,
        most: int,
        set_threads: Callable[[int], None] = torch.set_num_threads,
        wall: Callable[[], float] = time.perf_counter,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        """`few` threads are the process's own, and `most` all that it may use; the clocks are in seconds."""
        self._few, self._most, self._set_threads, self._wall, self._used = few, most, set_threads, wall, used
        self._threads, self._retry = few, 0.0
        self._since, self._used_then = wall(), used()

    def rest(self) -> None:
        """Before and after the work: back to its own cores. Time in which the process waits says nothing of others."""
        self._use(self._few)
        self._since, self._used_then = self._wall(), self._used()

    def __call__(self) -> None:
        """Choose the number of threads for what follows."""
        now, used = self._wall(), self._used()
        taken, got = now - self._since, used - self._used_then
        if taken < SHORTEST:
            return
        self._since, self._used_then = now, used
        if self._threads == self._most:
            if got < taken * (self._few + LEAST_GAIN * (self._most - self._few)):
                self._use(self._few)
                self._retry = now + PAUSE
        elif now >= self._retry:
            self._use(self._most)

    def _use(self, threads: int) -> None:
        if threads != self._threads:
            self._set_threads(threads)
            self._threads = threads


def call_between(layers: Iterable[nn.Module], call: Callable[[], None]) -> None:
    """Call it before each layer's forward pass and after its backward pass."""

    def before(_layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        call()
        states: Tensor = inputs[0]
        if states.requires_grad:
            states.register_hook(lambda _gradient: call())  # type: ignore[no-untyped-call]

    for layer in layers:
        layer.register_forward_pre_hook(before)
