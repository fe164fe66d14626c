"""The real buffer, ledger and journal against a model of dicts, with a crash at every call to the disk.

A crash leaves a call half done; a power failure takes a part of what was not synced besides. Then the run resumes from
one of the checkpoints that are kept. `CRASH_EXAMPLES=5000 pytest tests/actors/test_crash_machine.py` looks longer.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors import journal
from actors.journal import replay
from common.buffer_records import StoredGroup
from common.config import FilterSpec
from common.records import LabelledTask
from tests.actors.buffer_world import LEASE_SECONDS, Clock, group, make, twin
from tests.actors.fragile_os import Crash, FragileOs

KEEP = 2  # checkpoints beside the best
HAPPENED = Counter[str]()
"""What was injected, over all examples."""


class Model:
    """What must be true: the state of each index, and the step of those batched or trained."""

    def __init__(self) -> None:
        self.state: dict[int, str] = {}
        self.step: dict[int, int] = {}
        self.version = 0

    def resumed(self, step: int) -> Model:
        after = Model()
        after.version = step
        for index, state in self.state.items():
            if self.step.get(index, step + 1) <= step:
                after.state[index], after.step[index] = "trained", self.step[index]
            elif state in ("claimed", "unclaimed"):
                after.state[index] = "unclaimed"
            else:
                after.state[index] = "rejected" if state == "rejected" else "ready"
        return after

    def where(self, *states: str) -> list[int]:
        return sorted(index for index, state in self.state.items() if state in states)


class CrashAnywhere(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.jsonl"
        self.clock, self.disk = Clock(), FragileOs()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(journal, "os", self.disk)

    @initialize(
        max_lag=st.integers(0, 3),
        batch=st.integers(1, 3),
        room=st.integers(0, 9),
        worthwhile=st.sampled_from([0, 0, 2000, 1 << 20]),
        seed=st.integers(0, 2**32 - 1),
    )
    def start(self, max_lag: int, batch: int, room: int, worthwhile: int, seed: int) -> None:
        self.patch.setattr(journal, "WORTHWHILE_BYTES", worthwhile)
        self.random = Random(seed)
        self.max_lag, self.batch, self.capacity = max_lag, batch, batch + room
        self.model, self.engine_version = Model(), 0
        self.checkpoints, self.best = [0], 0  # step 0: a checkpoint of the start stands for a new run
        self.history: dict[int, int] = {}  # index -> step, along the checkpoints that led here
        self.flight: set[int] = set()  # what the call in hand may have brought to its end
        self.unsynced: set[int] = set()
        self.buffer = self.open(None)
        self.leased: list[tuple[str, LabelledTask, int]] = []
        self.batch_in_hand: tuple[StoredGroup, ...] = ()

    def open(self, step: int | None) -> Any:
        filters = FilterSpec(difficulty=(0.1, 0.9))
        folder = Path(self.folder.name)
        return make(
            folder, self.max_lag, self.batch, self.capacity, filters=filters, clock=self.clock, trained_steps=step
        )

    def do(self, call: Coroutine[Any, Any, Any], *flight: int) -> Any:
        """The call's answer; raises Crash when the process ended in it."""
        self.flight = set(flight)
        answer = self.loop.run_until_complete(call)
        self.unsynced = self.unsynced | self.flight if self.buffer._tasks.unsynced else set()
        self.flight = set()
        return answer

    @rule(turns=st.integers(1, 30))
    def work(self, turns: int) -> None:
        moves = (self.write, self.hold, self.roll, self.roll, self.learn, self.learn, self.lose)
        for move in self.random.choices(moves, weights=[6, 6, 4, 4, 6, 4, 1], k=turns):
            move()
            self.check()

    @rule(
        turns=st.integers(1, 30),
        calls=st.integers(0, 12),
        share=st.floats(0, 1),
        power=st.booleans(),
        again=st.none() | st.integers(0, 4),
    )
    def work_until_a_crash(self, turns: int, calls: int, share: float, power: bool, again: int | None) -> None:
        """With `again`, a second crash during the recovery."""
        self.disk.arm(calls, share)
        for _ in range(turns):
            try:
                self.random.choice((self.write, self.hold, self.roll, self.learn, self.learn, self.lose))()
            except Crash:
                HAPPENED["crash in a call to the disk"] += 1
                break
        self.recover(share, power, again)

    def write(self) -> None:
        """A claim and its end."""
        if self.buffer._has_room():
            waiting = self.model.where("unclaimed")
            index = self.do(self.buffer.claim("s"), waiting[0] if waiting else len(self.model.state))
            assert index == (waiting[0] if waiting else len(self.model.state)), "lost ones first, then the plan's next"
            self.model.state[index] = "claimed"
        claimed = self.model.where("claimed")
        if claimed and self.random.random() < 0.9:
            index = self.random.choice(claimed)
            if self.random.random() < 0.8:
                assert self.do(self.buffer.put_task(index, twin(index)), index)
                self.model.state[index] = "ready"
            else:
                assert self.do(self.buffer.reject_claim(index, "gate"), index)
                self.model.state[index] = "rejected"

    def hold(self) -> None:
        if self.buffer._admits():
            doctor = self.random.choice(("d1", "d2"))
            expected = self.model.where("ready")[0]
            task = self.do(self.buffer.lease(doctor))
            assert task == twin(expected), "in plan order, and the same task as before the crash"
            self.model.state[expected] = "leased"
            self.leased.append((doctor, task, self.model.version))

    def roll(self) -> None:
        if not self.leased:
            return
        doctor, task, since = self.leased.pop(self.random.randrange(len(self.leased)))
        index = int(task.task.task_id.removeprefix("task-"))
        totals = (1.0, 1.0) if self.random.random() < 0.2 else (1.0, -1.0)
        versions = (since, self.engine_version)
        assert self.do(self.buffer.put_group(group(task, doctor, versions, totals)), index)
        self.model.state[index] = "rejected" if totals == (1.0, 1.0) else "rolled"

    def learn(self) -> None:
        if not self.batch_in_hand:
            if self.buffer._next_batch() is None:
                return
            groups = self.do(self.buffer.take_batch())
            self.took(groups)
        elif self.engine_version == self.model.version:
            self.engine_version += 1
            if self.random.random() < 0.2:
                self.checkpoint()  # of a batch whose release is not noted yet
        else:
            self.do(self.buffer.release(self.engine_version))
            self.model.version, self.batch_in_hand = self.engine_version, ()
            for index in self.model.where("batched"):
                self.model.state[index] = "trained"
            if self.random.random() < 0.5:
                self.checkpoint()

    def took(self, groups: tuple[StoredGroup, ...]) -> None:
        assert len(groups) == self.batch
        self.batch_in_hand = groups
        for each in groups:
            index = int(each.task_id.removeprefix("task-"))
            assert 0 <= self.model.version - each.oldest_version <= self.max_lag, "the bound is strict"
            assert index not in self.history, "trained twice"
            assert self.model.state[index] == "rolled"
            self.history[index] = self.model.step[index] = self.model.version + 1
            self.model.state[index] = "batched"

    def checkpoint(self) -> None:
        """Kept: the newest, and the best. Then the journal may forget, and says the same at each that is kept."""
        if self.engine_version not in self.checkpoints:
            self.checkpoints.append(self.engine_version)
        if self.random.random() < 0.3:
            self.best = self.engine_version
        self.checkpoints = [step for step in self.checkpoints if step in (self.best, *self.checkpoints[-KEEP:])]
        before = {step: replay(self.path, step) for step in self.checkpoints}
        self.do(self.buffer.checkpointed(self.checkpoints[0]))
        assert {step: replay(self.path, step) for step in self.checkpoints} == before

    def lose(self) -> None:
        """A Scribe dies, a Doctor dies, or everything in hand expires."""
        kind = self.random.choice(("scribe", "d1", "d2", "time"))
        if kind == "scribe":
            self.do(self.buffer.return_claims("s"))
        elif kind == "time":
            self.clock.now += LEASE_SECONDS
            self.buffer._tasks.expire(self.clock.now)
        else:
            self.do(self.buffer.return_leases(kind))
        for index in self.model.where("claimed") if kind in ("scribe", "time") else ():
            self.model.state[index] = "unclaimed"
        lost = [lease for lease in self.leased if kind in (lease[0], "time")]
        for _, task, _ in lost:
            self.model.state[int(task.task.task_id.removeprefix("task-"))] = "ready"
        self.leased = [lease for lease in self.leased if lease not in lost]

    @rule(share=st.floats(0, 1), power=st.booleans(), calls=st.none() | st.integers(0, 4))
    def crash(self, share: float, power: bool, calls: int | None) -> None:
        """At rest; with `calls`, a second time during the recovery."""
        if self.model.version:
            self.recover(share, power, calls)

    def recover(self, share: float, power: bool, calls: int | None = None) -> None:
        self.buffer._tasks.close()
        self.disk.restart()
        if power:
            before = self.path.stat().st_size
            self.disk.lose_power(self.path, share)
            HAPPENED["power failure that lost lines"] += self.path.stat().st_size < before
        step = self.random.choice(self.checkpoints)
        self.compare(self.model.resumed(step), step, self.flight | (self.unsynced if power else set()))
        if calls is not None:
            self.disk.arm(calls, share)
        try:
            self.buffer = self.open(step)
        except Crash:
            HAPPENED["crash in a recovery"] += 1
            self.disk.restart()
            self.compare(self.model, step, set())
            self.buffer = self.open(step)
        self.disk.restart()
        self.checkpoints = [kept for kept in self.checkpoints if kept <= step]
        self.best = self.best if self.best in self.checkpoints else step
        self.history = {index: when for index, when in self.history.items() if when <= step}
        self.engine_version, self.leased, self.batch_in_hand = step, [], ()
        self.flight = self.unsynced = set()
        self.check()

    def compare(self, expected: Model, step: int, loose: set[int]) -> None:
        """What the journal says against the model; an index in `loose` may have got further, or be lost again."""
        found = replay(self.path, step)
        assert found.trained == expected.step, "trained is what led to the checkpoint, and nothing else"
        actual = Model()
        actual.version, actual.step = step, dict(found.trained)
        for state, indices in (
            ("ready", found.ready),
            ("unclaimed", found.unclaimed),
            ("trained", found.trained),
            ("rejected", found.rejected),
        ):
            actual.state.update(dict.fromkeys(indices, state))
        assert set(actual.state) == set(range(found.next_index)), "every index is in one state"
        for index in (actual.state.keys() | expected.state.keys()) - loose:
            given = ("unclaimed", None)  # a claim says nothing that a lost claim does not
            assert actual.state.get(index) == expected.state.get(index) or (
                actual.state.get(index) in given and expected.state.get(index) in given
            ), index
        self.model = actual

    @invariant()
    def accounts(self) -> None:
        if hasattr(self, "buffer"):
            self.check()

    def check(self) -> None:
        self.buffer.check()
        stats = self.buffer.stats()
        for state in ("ready", "leased", "rolled", "batched", "trained", "rejected"):
            assert stats[state] == len(self.model.where(state)), (state, stats)
        assert stats["claimed"] == len(self.model.where("claimed")) and stats["imbalance"] == 0
        assert stats["trained"] + stats["batched"] == len(self.history), stats
        assert "stale" not in stats["rejections"] and "duplicate" not in stats["rejections"]

    def teardown(self) -> None:
        if hasattr(self, "buffer"):
            self.buffer._tasks.close()
        self.loop.close()
        self.folder.cleanup()
        self.patch.undo()


CrashAnywhere.TestCase.settings = settings(
    max_examples=int(os.environ.get("CRASH_EXAMPLES", "60")),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class TestCrashAnywhere(CrashAnywhere.TestCase):  # type: ignore[name-defined, misc]
    def runTest(self) -> None:
        HAPPENED.clear()
        super().runTest()
        wanted = ("crash in a call to the disk", "power failure that lost lines", "crash in a recovery")
        assert all(HAPPENED[kind] for kind in wanted), HAPPENED
