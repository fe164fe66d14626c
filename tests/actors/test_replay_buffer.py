from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.replay_buffer import Closed, ReplayBuffer
from common.config import BufferSpec, FilterSpec
from common.records import Completion, Group, Label, LabelledTask, Limits, Provenance, Reward, Rollout, Task

LEASE_SECONDS = 100.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def labelled(index: int, note: str = "", vignette: str = "", quadrant: str = "augmented_safe") -> LabelledTask:
    task = Task(
        env="verdict",
        task_id=f"task-{index}",
        split="train",
        context={"note": note or f"note {index}"},
        limits=Limits(),
        provenance=Provenance(source="bundled", vignette=vignette or f"v{index}", quadrant=quadrant),
    )
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={}))


def group(
    of: LabelledTask, doctor: str = "d", versions: tuple[int, ...] = (0,), totals: tuple[float, ...] = (1.0,)
) -> Group:
    def rollout(total: float) -> Rollout:
        completion = Completion(
            text="x",
            token_ids=tuple(range(len(versions))),
            logps=(-1.0,) * len(versions),
            versions=versions,
            finish_reason="stop",
            engine="e",
        )
        return Rollout(completion=completion, reward=Reward(components={"outcome": total}, total=total, reason="r"))

    return Group(labelled=of, prompt_ids=(1,), rollouts=tuple(map(rollout, totals)), doctor=doctor)


def make(tmp_path: Path, max_lag: int = 1, batch: int = 2, capacity: int = 12, **more: Any) -> ReplayBuffer:
    filters = more.pop("filters", FilterSpec())
    spec = BufferSpec(max_lag=max_lag, capacity=capacity, lease_seconds=LEASE_SECONDS)
    return ReplayBuffer(spec, batch, filters, tmp_path / "journal.jsonl", **more)


async def fill(buffer: ReplayBuffer, count: int) -> None:
    for _ in range(count):
        index = await buffer.claim("s")
        assert await buffer.put_task(index, labelled(index))


async def roll(buffer: ReplayBuffer, count: int) -> None:
    version = buffer.stats()["version"]
    for _ in range(count):
        assert await buffer.put_group(group(await buffer.lease("d"), versions=(version,)))


async def waits(call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    waiting = asyncio.ensure_future(call)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    return waiting


def names(groups: tuple[Group, ...]) -> list[str]:
    return [each.task_id for each in groups]


async def test_a_task_passes_through_every_state_once(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 3)
    await roll(buffer, 2)
    assert names(await buffer.take_batch()) == ["task-0", "task-1"]
    assert buffer.stats()["batched"] == 2
    await buffer.release(1)
    stats = buffer.stats()
    assert (stats["trained"], stats["ready"], stats["version"]) == (2, 1, 1)
    buffer.check()


async def test_scribes_wait_while_the_buffer_is_full(tmp_path: Path) -> None:
    buffer = make(tmp_path, capacity=2)
    await fill(buffer, 2)
    waiting = await waits(buffer.claim("s"))
    assert buffer.stats()["waiting"] == {"scribe": 1, "doctor": 0, "learner": 0}
    await roll(buffer, 2)
    await buffer.take_batch()
    await buffer.release(1)
    assert await waiting == 2


async def test_without_lag_nothing_is_leased_until_the_weights_are_out(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=0)
    await fill(buffer, 4)
    await roll(buffer, 2)
    waiting = await waits(buffer.lease("d"))
    await buffer.take_batch()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    await buffer.release(1)
    assert (await waiting).task.task_id == "task-2"


async def test_a_lag_of_one_allows_one_batch_ahead(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=1)
    await fill(buffer, 6)
    await roll(buffer, 4)
    await waits(buffer.lease("d"))


async def test_the_learner_waits_for_a_slow_task_that_would_become_too_old(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=1)
    await fill(buffer, 8)
    slow = await buffer.lease("slow")
    await roll(buffer, 2)
    assert names(await buffer.take_batch()) == ["task-1", "task-2"]
    await buffer.release(1)
    await roll(buffer, 2)
    taking = await waits(buffer.take_batch())
    assert await buffer.put_group(group(slow, "slow", versions=(0, 1)))
    assert names(await taking) == ["task-0", "task-3"]


async def test_two_slow_tasks_are_not_overtaken_into_one_batch_of_one(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=2, batch=1)
    await fill(buffer, 8)
    slow = [await buffer.lease("slow"), await buffer.lease("slow")]
    await roll(buffer, 1)
    await buffer.take_batch()
    await buffer.release(1)
    await roll(buffer, 1)
    taking = await waits(buffer.take_batch())
    await buffer.put_group(group(slow[1], "slow"))
    assert names(await taking) == ["task-1"]
    await buffer.release(2)
    await buffer.put_group(group(slow[0], "slow"))
    assert names(await buffer.take_batch()) == ["task-0"]


async def test_an_expired_lease_is_ready_again_and_its_late_group_is_refused(tmp_path: Path) -> None:
    clock = Clock()
    buffer = make(tmp_path, clock=clock)
    await fill(buffer, 1)
    late = await buffer.lease("slow")
    clock.now = LEASE_SECONDS
    assert (await buffer.lease("d")).task.task_id == late.task.task_id
    assert not await buffer.put_group(group(late, "slow"))
    assert await buffer.put_group(group(late, "d"))
    assert (buffer.stats()["refused_late"], buffer.stats()["returned"]) == (1, 1)


async def test_a_waiting_doctor_wakes_when_a_lease_expires(tmp_path: Path) -> None:
    spec = BufferSpec(max_lag=0, capacity=1, lease_seconds=0.05)
    buffer = ReplayBuffer(spec, 1, FilterSpec(), tmp_path / "journal.jsonl")
    await fill(buffer, 1)
    await buffer.lease("slow")
    assert (await asyncio.wait_for(buffer.lease("d"), 2)).task.task_id == "task-0"


async def test_what_a_dead_doctor_held_or_waited_for_goes_to_others(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=0, batch=1)
    await fill(buffer, 1)
    await buffer.lease("dead")
    waiting = await waits(buffer.lease("dead"))
    assert await buffer.return_leases("dead") == 1
    with pytest.raises(Closed, match="dead"):
        await waiting
    assert (await buffer.lease("d")).task.task_id == "task-0"


async def test_the_claim_of_a_dead_scribe_is_given_first_and_makes_one_task(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    assert [await buffer.claim("dead"), await buffer.claim("s")] == [0, 1]
    assert await buffer.return_claims("dead") == 1
    assert not await buffer.put_task(0, labelled(0))
    assert [await buffer.claim("s"), await buffer.claim("s")] == [0, 2]
    assert await buffer.put_task(0, labelled(0))
    assert not await buffer.put_task(0, labelled(0))
    buffer.check()


async def test_a_group_older_than_its_lease_is_refused_and_the_task_tried_again(tmp_path: Path) -> None:
    buffer = make(tmp_path, batch=1)
    await fill(buffer, 2)
    await roll(buffer, 1)
    await buffer.take_batch()
    await buffer.release(1)
    leased = await buffer.lease("d")
    assert not await buffer.put_group(group(leased, versions=(0, 1)))
    assert (buffer.stats()["ready"], buffer.stats()["refused_stale"]) == (1, 1)


async def test_sampling_rejects_a_stale_group_that_a_fault_let_in(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=0, batch=1)
    await fill(buffer, 3)
    await roll(buffer, 1)
    await buffer.take_batch()
    await buffer.release(1)
    leased = await buffer.lease("d")
    buffer._ledger.roll(1, group(leased, versions=(0,)))
    taking = await waits(buffer.take_batch())
    assert buffer.stats()["rejections"] == {"stale": 1}
    await roll(buffer, 1)
    assert names(await taking) == ["task-2"]


async def test_close_wakes_everyone_who_waits(tmp_path: Path) -> None:
    buffer = make(tmp_path, capacity=2)
    await fill(buffer, 2)
    await roll(buffer, 1)
    await buffer.lease("d")
    waiting = [await waits(buffer.claim("s")), await waits(buffer.lease("d")), await waits(buffer.take_batch())]
    await buffer.close()
    for each in waiting:
        with pytest.raises(Closed):
            await each
    with pytest.raises(Closed):
        await buffer.claim("s")


async def test_groups_outside_the_difficulty_band_free_their_slot(tmp_path: Path) -> None:
    buffer = make(tmp_path, max_lag=0, batch=1, filters=FilterSpec(difficulty=(0.2, 0.8)))
    await fill(buffer, 3)
    for totals in ((1.0, 1.0), (-1.0, -1.0)):
        assert await buffer.put_group(group(await buffer.lease("d"), totals=totals))
    assert await buffer.put_group(group(await buffer.lease("d"), totals=(1.0, -1.0)))
    assert names(await buffer.take_batch()) == ["task-2"]
    assert buffer.stats()["rejections"] == {"difficulty": 2}
    buffer.check()


async def test_too_short_completions_leave_with_their_group(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 1)
    assert await buffer.put_group(group(await buffer.lease("d"), versions=()))
    assert buffer.stats()["rejections"] == {"too_short": 1}


async def test_a_note_like_a_recent_one_is_rejected_unless_it_is_its_twin(tmp_path: Path) -> None:
    buffer = make(tmp_path, filters=FilterSpec(novelty=0.7))
    note = "The patient is a man of fifty with chest pain that began after lunch and eased at rest."
    tasks = [
        labelled(0, note, "v", "augmented_safe"),
        labelled(1, note.replace("rest", "night"), "v", "augmented_error"),
        labelled(2, note.replace("lunch", "dinner"), "w", "augmented_safe"),
        labelled(3, " ".join(reversed(note.split())), "x", "augmented_safe"),  # the same bag of words in another order
    ]
    for task in tasks:
        await buffer.put_task(await buffer.claim("s"), task)
    assert (buffer.stats()["ready"], buffer.stats()["rejections"]) == (3, {"novelty": 1})


async def test_the_same_task_id_twice_is_a_duplicate(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await buffer.put_task(await buffer.claim("s"), labelled(0))
    await buffer.put_task(await buffer.claim("s"), labelled(0))
    await buffer.reject_claim(await buffer.claim("s"), "gate")
    assert buffer.stats()["rejections"] == {"duplicate": 1, "gate": 1}
    buffer.check()


async def test_resume_keeps_what_the_checkpoint_trained_and_returns_the_rest(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 8)
    await buffer.claim("s")
    for version in (1, 2):
        await roll(buffer, 2)
        await buffer.take_batch()
        await buffer.release(version)
    await roll(buffer, 1)
    resumed = make(tmp_path, trained_steps=1)
    stats = resumed.stats()
    assert {key: stats[key] for key in ("trained", "ready", "version", "given")} == {
        "trained": 2,
        "ready": 6,
        "version": 1,
        "given": 8,
    }
    assert (await resumed.lease("d")).task.task_id == "task-2"
    assert await resumed.claim("s") == 8
    resumed.check()


async def test_a_batch_that_the_checkpoint_holds_stays_trained_though_it_was_never_released(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 3)
    await roll(buffer, 2)
    await buffer.take_batch()
    assert make(tmp_path, trained_steps=1).stats()["trained"] == 2


async def test_an_abandoned_batch_does_not_count_after_a_second_resume(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 4)
    await roll(buffer, 2)
    await buffer.take_batch()
    again = make(tmp_path, trained_steps=0)
    first = await again.lease("slow")
    await roll(again, 2)
    assert "task-0" not in names(await again.take_batch())
    third = make(tmp_path, trained_steps=1)
    assert (await third.lease("d")).task.task_id == first.task.task_id
    third.check()


async def test_a_new_run_refuses_an_old_journal_and_a_resume_refuses_another_batch_size(tmp_path: Path) -> None:
    buffer = make(tmp_path)
    await fill(buffer, 2)
    await roll(buffer, 2)
    await buffer.take_batch()
    with pytest.raises(ValueError, match="exists already"):
        make(tmp_path)
    with pytest.raises(ValueError, match="batch_groups 4"):
        make(tmp_path, batch=4, trained_steps=1)


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
        self.batches: list[tuple[Group, ...]] = []
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
        if self.now(self.buffer.put_task(index, labelled(index))):
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

    def took(self, groups: tuple[Group, ...]) -> None:
        assert len(groups) == self.batch
        for each in groups:
            assert 0 <= self.version - each.oldest_version <= self.max_lag
            assert each.task_id not in self.trained
            self.trained[each.task_id] = self.version + 1
        self.batches.append(groups)

    @rule(seconds=st.sampled_from([1.0, 20.0, LEASE_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.claimed)
    @rule(scribe=st.sampled_from(["s1", "s2"]))
    def scribe_dies(self, scribe: str) -> None:
        self.now(self.buffer.return_claims(scribe))

    @precondition(lambda self: len(self.leased) > 2)
    @rule(doctor=st.sampled_from(["d1", "d2"]))
    def doctor_dies(self, doctor: str) -> None:
        self.now(self.buffer.return_leases(doctor))

    @precondition(lambda self: self.version > 1)
    @rule(data=st.data(), torn=st.booleans(), calm=st.integers(0, 3))
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
        self.buffer._ledger.close()

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
                self.now(self.buffer.put_task(index, labelled(index)))
            while self.leased:
                doctor, task, since = self.leased.pop()
                self.now(self.buffer.put_group(group(task, doctor, (since,), (1.0, -1.0))))
            self.learn()
        raise AssertionError(f"stuck: {self.buffer.stats()}")


AnyOrder.TestCase.settings = settings(
    max_examples=150, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyOrder = AnyOrder.TestCase
