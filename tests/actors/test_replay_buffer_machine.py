"""The replay buffer under a hypothesis state machine."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.buffer_records import Closed, StoredGroup
from common.config import FilterSpec
from common.records import LabelledTask
from tests.actors.buffer_world import LEASE_SECONDS, Clock, group, make, twin

HAPPENED = Counter[str]()
"""Deaths, expiries and resumes that took something away, over all examples."""


class AnyOrder(RuleBasedStateMachine):
    """Scribes, Doctors, a learner, deaths, expiries and resumes in any order, against a model of what is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.calls: set[asyncio.Task[Any]] = set()

    @initialize(
        max_lag=st.integers(0, 3),
        batch=st.integers(1, 3),
        room=st.integers(0, 12),
        difficulty=st.sampled_from([None, (0.2, 0.8)]),
        seed=st.integers(0, 2**32 - 1),
    )
    def start(self, max_lag: int, batch: int, room: int, difficulty: tuple[float, float] | None, seed: int) -> None:
        self.random = Random(seed)
        self.max_lag, self.batch, self.capacity = max_lag, batch, batch + room
        self.filters = FilterSpec(difficulty=difficulty)
        self.trained: dict[str, int] = {}  # task id -> step
        self.births: set[int] = set()
        self.engine_version = 0
        self.open()

    def open(self, trained_steps: int | None = None) -> None:
        self.buffer = make(
            Path(self.folder.name),
            self.max_lag,
            self.batch,
            self.capacity,
            filters=self.filters,
            clock=self.clock,
            trained_steps=trained_steps,
        )
        self.claimed: list[tuple[str, int]] = []
        self.leased: list[tuple[str, LabelledTask, int]] = []  # doctor, task, engine version at the lease
        self.batches: list[tuple[StoredGroup, ...]] = []
        self.calls = set()

    def spawn(self, call: Coroutine[Any, Any, Any], done: Any) -> None:
        async def run() -> None:
            try:
                done(await call)
            except Closed:
                return

        self.calls.add(self.loop.create_task(run()))
        self.turn()

    def turn(self) -> None:
        async def spin() -> None:
            for _ in range(6):
                await asyncio.sleep(0)

        self.loop.run_until_complete(spin())
        for call in [call for call in self.calls if call.done()]:
            self.calls.discard(call)
            call.result()

    def now(self, call: Coroutine[Any, Any, Any]) -> Any:
        result = self.loop.run_until_complete(call)
        self.turn()
        return result

    @property
    def version(self) -> int:
        return int(self.buffer.stats()["version"])

    @invariant()
    def work_goes_on(self) -> None:
        """An ordinary stretch between any two rules, for rules drawn one by one rarely train a batch."""
        if hasattr(self, "buffer"):
            for actor in self.random.choices(
                ["write", "hold", "answer", "finish", "learn"], weights=[1, 1, 4, 1, 3], k=12
            ):
                getattr(self, actor)()

    def write(self) -> None:
        """Make a task of every claim, and fill the room that is left."""
        while self.claimed:
            self.put(self.claimed.pop()[1])
        while self.buffer._has_room():
            self.claim("s1")
            if self.claimed:
                self.put(self.claimed.pop()[1])

    def hold(self) -> None:
        if not self.buffer.stats()["waiting"]["doctor"]:
            self.lease("d2")

    def finish(self) -> None:
        """Answer the oldest lease."""
        if self.leased:
            doctor, task, since = self.leased.pop(0)
            self.now(self.buffer.put_group(group(task, doctor, (since, self.engine_version), (1.0, -1.0))))

    def answer(self) -> None:
        """Answer the newest lease, and so overtake the others."""
        before = len(self.leased)
        self.hold()
        if len(self.leased) > before:
            doctor, task, _ = self.leased.pop()
            self.now(self.buffer.put_group(group(task, doctor, (self.engine_version,), (1.0, -1.0))))

    @precondition(lambda self: self.buffer.stats()["waiting"]["scribe"] < 3)
    @rule(scribe=st.sampled_from(["s1", "s2"]))
    def claim(self, scribe: str) -> None:
        self.spawn(self.buffer.claim(scribe), lambda index: self.claimed.append((scribe, index)))

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), fails=st.integers(0, 3))
    def put_task(self, data: st.DataObject, fails: int) -> None:
        _, index = self.claimed.pop(data.draw(st.integers(0, len(self.claimed) - 1)))
        if not fails:
            self.now(self.buffer.reject_claim(index, "gate"))
        else:
            self.put(index)

    def put(self, index: int) -> None:
        if self.now(self.buffer.put_task(index, twin(index))):
            assert index not in self.births, "an index makes at most one task"
            self.births.add(index)

    @precondition(lambda self: self.buffer.stats()["waiting"]["doctor"] < 3)
    @rule(doctor=st.sampled_from(["d1", "d2"]))
    def lease(self, doctor: str) -> None:
        self.spawn(self.buffer.lease(doctor), lambda task: self.leased.append((doctor, task, self.version)))

    @precondition(lambda self: self.leased)
    @rule(data=st.data(), totals=st.sampled_from([(1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0)]))
    def put_group(self, data: st.DataObject, totals: tuple[float, ...]) -> None:
        doctor, task, since = self.leased.pop(data.draw(st.integers(0, len(self.leased) - 1)))
        versions = tuple(sorted(data.draw(st.lists(st.integers(since, self.engine_version), min_size=1, max_size=3))))
        self.now(self.buffer.put_group(group(task, doctor, versions, totals)))

    @rule(until=st.sampled_from(["taken", "synced", "released", "released"]))
    def learn(self, until: str = "released") -> None:
        """The learner goes on: to the batch in hand, to engines that hold the next version, or to its release."""
        if not self.batches and not self.buffer.stats()["waiting"]["learner"]:
            self.spawn(self.buffer.take_batch(), self.took)
        if self.batches and until != "taken":
            self.engine_version = self.version + 1
        if self.batches and until == "released":
            self.batches.pop()
            self.now(self.buffer.release(self.version + 1))

    def took(self, groups: tuple[StoredGroup, ...]) -> None:
        assert len(groups) == self.batch
        for each in groups:
            assert 0 <= self.version - each.oldest_version <= self.max_lag
            assert each.task_id not in self.trained
            self.trained[each.task_id] = self.version + 1
        self.batches.append(groups)

    @rule(seconds=st.sampled_from([1.0, 20.0, LEASE_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        held = self.buffer._tasks.next_deadline()
        HAPPENED["expiry"] += held is not None and held <= self.clock.now

    @precondition(lambda self: self.buffer._has_room())
    @rule(scribe=st.sampled_from(["s1", "s2"]))
    def scribe_dies(self, scribe: str) -> None:
        """With a claim in hand: the stretches between the rules leave none."""
        self.claim(scribe)
        HAPPENED["death of a Scribe"] += self.now(self.buffer.return_claims(scribe))

    @precondition(lambda self: len(self.leased) > 2)
    @rule(doctor=st.sampled_from(["d1", "d2"]))
    def doctor_dies(self, doctor: str) -> None:
        HAPPENED["death of a Doctor"] += self.now(self.buffer.return_leases(doctor))

    @precondition(lambda self: self.version > 1)
    @rule(data=st.data(), torn=st.booleans(), calm=st.integers(0, 1))
    def crash_and_resume(self, data: st.DataObject, torn: bool, calm: int) -> None:
        if calm:
            return
        step = data.draw(st.integers(0, self.version + bool(self.batches)))
        self.stop()
        if torn:
            with (Path(self.folder.name) / "journal.jsonl").open("a") as file:
                file.write('{"state":"rol')
        self.open(trained_steps=step)
        assert self.buffer.stats()["dropped_lines"] == torn
        HAPPENED["resume after a torn line" if torn else "resume"] += 1
        self.trained = {task: when for task, when in self.trained.items() if when <= step}
        self.engine_version = step

    @invariant()
    def counts_add_up(self) -> None:
        if hasattr(self, "buffer"):
            self.buffer.check()
            stats = self.buffer.stats()
            assert stats["claimed"] + stats["ready"] <= max(self.capacity, stats["given"])
            assert stats["trained"] + stats["batched"] == len(self.trained)
            assert "stale" not in stats["rejections"], "the admission bound alone keeps groups fresh"

    @invariant()
    def somebody_can_act(self) -> None:
        if hasattr(self, "buffer"):
            stats, buffer = self.buffer.stats(), self.buffer
            working = stats["claimed"] or stats["leased"] or stats["batched"]
            possible = buffer._has_room() or (stats["ready"] and buffer._admits()) or buffer._next_batch() is not None
            assert working or possible, stats

    def stop(self) -> None:
        async def cancel() -> None:
            for call in self.calls:
                call.cancel()
            await asyncio.gather(*self.calls, return_exceptions=True)

        self.loop.run_until_complete(cancel())
        self.buffer._tasks.close()

    def teardown(self) -> None:
        if hasattr(self, "buffer"):
            self.finish_two_more_batches()
            self.stop()
        self.loop.close()
        self.folder.cleanup()

    def finish_two_more_batches(self) -> None:
        """From wherever it ended, a fair schedule trains on: nothing is stuck."""
        target = self.version + 2
        self.clock.now += LEASE_SECONDS
        self.claimed, self.leased = [], []
        for _ in range(400):
            if self.version >= target:
                return
            self.claim("s1")
            self.lease("d1")
            while self.claimed:
                _, index = self.claimed.pop()
                self.now(self.buffer.put_task(index, twin(index)))
            while self.leased:
                doctor, task, since = self.leased.pop()
                self.now(self.buffer.put_group(group(task, doctor, (since,), (1.0, -1.0))))
            self.learn()
        raise AssertionError(f"stuck: {self.buffer.stats()}")


AnyOrder.TestCase.settings = settings(max_examples=100, stateful_step_count=15, suppress_health_check=list(HealthCheck))


class TestAnyOrder(AnyOrder.TestCase):  # type: ignore[name-defined, misc]
    def runTest(self) -> None:
        HAPPENED.clear()
        super().runTest()
        wanted = ("expiry", "death of a Scribe", "death of a Doctor", "resume", "resume after a torn line")
        assert all(HAPPENED[kind] for kind in wanted), HAPPENED
