"""One try to bring engines to the staged weights over a group: who was ready for which bucket, and who is at fault."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from common.broadcast import FORM, POLL_SECONDS, STOP, Group, place
from learner.buckets import Buckets
from learner.engine_calls import Pending

if TYPE_CHECKING:
    from learner.handles import Engines

Members = tuple[tuple[str, int], ...]
"""Engines and their numbers of workers, in the order of their ranks, which begin at 1."""


class Attempt:
    """The engines receive from the moment an attempt is made; `send` does rank 0's part."""

    def __init__(self, group: Group, members: Members, engines: Engines, packed: Buckets, device: str) -> None:
        self._group, self._packed, self._device = group, packed, device
        self._owners = [engine for engine, workers in members for _ in range(workers)]  # of rank 1, 2, ...
        self._broken = set[str]()  # engines of which a worker said that the group broke
        self.failures: dict[str, str] = {}
        self.late = set[str]()
        """Engines that were not ready in time. Not all are at fault: one may be held up in a collective by another."""
        info = dict(_announcements(group, members, packed))
        called = {engine: engines[engine] for engine in info}
        self.update = Pending(
            "update_weights", called, lambda engine, handle: handle.update_weights.remote(info[engine])
        )
        """The engines' calls, which end some time after their last bucket."""

    def send(self, fresh: bool, end: float) -> str:
        """Send all buckets, after forming a `fresh` group, until `end` (`time.monotonic()`) at the latest.

        Returns what went wrong first, or "". Then `failures` has the engines that are at fault.
        """
        why = self._send(fresh, end)
        if why:
            self._settle(why, end)
        return why

    def _send(self, fresh: bool, end: float) -> str:
        for number in range(FORM if fresh else 0, len(self._packed.buckets)):
            if why := self._await_ready(number, end):
                return why
            self._group.answer(number)
            try:
                if number == FORM:
                    self._group.form()
                else:
                    self._group.broadcast(self._packed.buffer(number, self._device))
            except RuntimeError as error:
                return f"{place(number)}: {str(error).splitlines()[0]}"
        return ""

    def _await_ready(self, number: int, end: float) -> str:
        """Wait until every worker is ready for this collective; returns what is wrong, or ""."""
        seconds = self._group.info.seconds
        deadline = min(time.monotonic() + seconds, end)
        waiting = set(range(1, self._group.info.world))
        while waiting:
            late = {self._owners[rank - 1] for rank in waiting}
            if message := self._group.heard():
                rank, words = message
                if words != str(number):
                    self._broken.add(self._owners[rank - 1])
                    return f"{place(number)}: {words}"
                waiting.discard(rank)
            elif ended := late & self.update.ended():
                return f"{place(number)}: {', '.join(sorted(ended))} failed"
            elif time.monotonic() > deadline:
                self.late = late
                return f"{place(number)}: {', '.join(sorted(late))} not ready for it within {seconds:g} s"
            else:
                time.sleep(POLL_SECONDS)
        return ""

    def _settle(self, why: str, end: float) -> None:
        """End the attempt. Engines that fail by themselves, or do not end, are at fault; the others may try again."""
        self._group.answer(STOP)
        # A worker that waits for an answer ends now, one that is held up in a collective by the bucket's deadline.
        deadline = min(time.monotonic() + self._group.info.seconds + 1, end)
        while set(self._owners) - self.update.ended() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        while message := self._group.heard():
            rank, words = message
            if words.startswith("broken"):
                self._broken.add(self._owners[rank - 1])
        ended = self.update.ended()
        for engine, line in self.update.failed(time.monotonic()).items():
            if engine not in ended or engine not in self._broken:
                self.failures[engine] = line if engine in ended else f"{why}; it did not stop"


def _announcements(group: Group, members: Members, packed: Buckets) -> Iterator[tuple[str, dict[str, object]]]:
    """What each engine is told about its place in the group and the buckets: plain values, for vLLM's msgpack."""
    buckets = msgspec.to_builtins(packed.buckets)
    rank = 1
    for engine, workers in members:
        info = msgspec.structs.replace(group.info, first_rank=rank)
        yield engine, {"group": msgspec.to_builtins(info), "buckets": buckets}
        rank += workers
