from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.config import LearnerSpec
from common.records import AuthorBatch, Closed, Group, Label, LabelledTask, Limits, Provenance, Sampled, Task
from common.weights import SyncOutcome
from learner import checkpoint
from learner.learner import Learner, LearnerStep
from learner.scribe import ScribeLearner, ScribeSide
from learner.step_report import StepReport
from tests.fakes import Handle, remote_error, settle


def group(index: int) -> Group:
    task = Task(
        env="fake",
        task_id=f"task-{index}",
        split="train",
        context={},
        limits=Limits(),
        provenance=Provenance(source="s", vignette="v", quadrant="augmented_safe"),
    )
    labelled = LabelledTask(task=task, label=Label(task_id=task.task_id, truth={}))
    return Group(labelled=labelled, prompt_ids=(1,), rollouts=(), doctor="d")


def report_of(step: int, groups: int) -> StepReport:
    return StepReport(
        step=step,
        policy_version=step,
        policy_lag=0,
        groups=groups,
        completions=0,
        tokens=0,
        completion_tokens=0,
        loss=0.0,
        kl_to_reference=None,
        grad_norm=0.0,
        learning_rate=0.0,
        reward_mean=0.0,
        reward_std=0.0,
        reward_components={},
        weights={},
        seconds={},
    )


def fresh_of(version: int) -> Sampled:
    return Sampled(prompt_ids=(version,), completions=())


class FakeScribe:
    """The Scribe's rank beside a Doctor's."""

    def __init__(self, rank: int, log: list[str]) -> None:
        self.rank, self.log, self.version = rank, log, 0
        self.seen: list[str] = []

    def step(self, groups: tuple[Group, ...]) -> StepReport:
        self.version += 1
        self.seen += [group.task_id for group in groups]
        self.log.append(f"scribe step {self.version}")
        return report_of(self.version, len(groups))

    def save(self, folder: Path) -> None:
        (folder / f"scribe-{self.rank}.pt").write_text(str(self.version))


class FakeRank:
    def __init__(self, rank: int, log: list[str], version: int) -> None:
        self.rank, self.log, self.version = rank, log, version
        self.seen: list[str] = []
        self.full = False  # the disk
        self.groups: tuple[Group, ...] = ()
        self.scribes = FakeScribe(rank, log)

    def accumulate(self, groups: tuple[Group, ...]) -> None:
        self.groups = groups

    def apply(self) -> StepReport:
        self.version += 1
        self.seen += [group.task_id for group in self.groups]
        self.log.append(f"step {self.version}")
        return report_of(self.version, len(self.groups))

    def logp_difference(self, samples: tuple[Sampled, ...]) -> float:
        assert samples == (fresh_of(self.version),), "scored under another version than the one that sampled it"
        return 0.01 * (self.version + 1)

    def scribe(self, method: str, *arguments: Any) -> Any:
        return getattr(self.scribes, method)(*arguments)

    def save(self, folder: Path) -> None:
        if self.full:
            (folder / "half").write_text("x")
            raise remote_error(OSError(errno.ENOSPC, "No space left on device"))
        self.log.append(f"save {self.version}")
        (folder / f"rank-{self.rank}.pt").write_text(str(self.version))


class FakeChannel:
    def __init__(self, log: list[str], version: int, whose: str = "") -> None:
        self.log, self.version, self.whose = log, version, whose
        self.loaded_gap = 0.03
        self.failures: dict[str, str] = {}
        self.error: Exception | None = None
        self.deaf = False  # no engine answers
        self.changing = False

    async def begin_change(self) -> None:
        assert all(not line.startswith("step") for line in self.log[-1:]), "the weights have changed already"
        self.changing = True

    async def fresh_rollouts(self) -> tuple[Sampled, ...]:
        await asyncio.sleep(0)
        return () if self.deaf else (fresh_of(self.version),)

    async def publish(self, version: int) -> SyncOutcome:
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        assert self.changing, "an engine could have joined between the step and its publication"
        self.changing = False
        self.version = version
        self.log.append(f"{self.whose}publish {version}")
        return SyncOutcome(
            version=version, seconds=0, pause_seconds=0, canary_gap=0, proved=("e",), failures=self.failures
        )


class FakeBuffer:
    def __init__(self, log: list[str], batches: int, batch: int) -> None:
        self.log, self.batches, self.batch = log, batches, batch
        self.given = 0
        self.oldest_steps: list[int] = []
        self.tries = 0  # batches of them that are ready
        self.asked: list[int] = []  # the Scribe's versions that asked

    async def take_authored(self, version: int) -> AuthorBatch:
        self.asked.append(version)
        if not self.tries:
            return AuthorBatch()
        self.tries -= 1
        return AuthorBatch(groups=(group(1000 + 2 * version), group(1001 + 2 * version)), success_rates=(0.5,))

    async def take_batch(self) -> tuple[Group, ...]:
        if self.given == self.batches:
            raise Closed
        self.given += 1
        self.log.append("take")
        return tuple(group(self.given * self.batch + k) for k in range(self.batch))

    async def release(self, version: int) -> None:
        self.log.append(f"release {version}")

    async def checkpointed(self, oldest_step: int) -> None:
        self.oldest_steps.append(oldest_step)


class World:
    def __init__(
        self,
        folder: Path,
        steps: int,
        *,
        batches: int = 99,
        ranks: int = 1,
        version: int = 0,
        keep: int = 9,
        phase_steps: int = 0,  # 0: the Scribe is not trained
    ) -> None:
        self.log: list[str] = []
        self.steps: list[LearnerStep] = []
        self.phases: list[str] = []
        self.notes: list[str] = []
        self.scores: dict[int, checkpoint.Score] = {}  # by steps logged
        self.on_step: Callable[[], None] = lambda: None
        self.folder = folder
        self.channel = FakeChannel(self.log, version)
        self.buffer = FakeBuffer(self.log, batches, batch=2)
        self.buffer_handle = Handle(self.buffer)
        self.ranks = [FakeRank(rank, self.log, version) for rank in range(ranks)]
        self.handles = [Handle(rank) for rank in self.ranks]
        self.scribe_channel = FakeChannel(self.log, 0, "scribe ")
        channel: Any = self.channel
        sides = [ScribeSide(Handle(rank)) for rank in self.ranks]
        scribe_channel: Any = self.scribe_channel
        self.learner = Learner(
            LearnerSpec(batch_groups=2, ranks=ranks, checkpoint_every=2, keep_checkpoints=keep),
            steps,
            folder,
            self.buffer_handle,
            self.handles,
            channel,
            self._stepped,
            self.phases.append,
            self.notes.append,
            self.new_buffer,
            lambda: self.scores.get(len(self.steps)),
            ScribeLearner(phase_steps, sides, scribe_channel) if phase_steps else None,
        )

    async def new_buffer(self, version: int) -> Handle:
        self.log.append(f"new buffer at {version}")
        self.buffer_handle = Handle(self.buffer)
        return self.buffer_handle

    def _stepped(self, step: LearnerStep) -> None:
        self.log.append(f"logged {step.report.step}")
        self.steps.append(step)
        self.on_step()

    def checkpoints(self) -> list[str]:
        return sorted(path.parent.name for path in self.folder.glob("checkpoints/*/manifest.json"))


async def test_a_batch_is_released_only_after_the_engines_hold_the_new_weights(tmp_path: Path) -> None:
    world = World(tmp_path, steps=1)
    await world.learner.run()
    assert world.log == ["take", "step 1", "publish 1", "release 1", "logged 1", "save 1"]
    assert world.phases == ["waiting for a batch", "training", "publishing", "checkpointing"]


async def test_every_step_tells_how_well_engines_and_learner_agreed_on_the_version_before_it(tmp_path: Path) -> None:
    world = World(tmp_path, steps=3, ranks=2)
    await world.learner.run()
    assert [step.fresh_logp_difference for step in world.steps] == [0.01, 0.02, 0.03]


async def test_where_no_engine_samples_fresh_rollouts_the_agreement_is_unknown_and_training_goes_on(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, steps=2)
    world.channel.deaf = True
    await world.learner.run()
    assert [step.fresh_logp_difference for step in world.steps] == [None, None]


async def test_checkpoints_are_written_at_the_cadence_and_at_the_end(tmp_path: Path) -> None:
    world = World(tmp_path, steps=5)
    await world.learner.run()
    assert world.checkpoints() == ["step-00002", "step-00004", "step-00005"]
    assert world.learner.version == 5


async def test_the_buffer_hears_to_which_step_a_resume_may_still_go_back(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9, keep=2)
    world.scores = {2: (0.5, 0.5)}
    await world.learner.run()
    assert world.checkpoints() == ["step-00002", "step-00008", "step-00009"], "the best one stays"
    assert world.buffer.oldest_steps == [2] * 5
    world = World(tmp_path / "unscored", steps=9, keep=2)
    await world.learner.run()
    assert world.buffer.oldest_steps == [2, 2, 4, 6, 8]


async def test_a_checkpoint_carries_the_score_of_the_steps_logged_before_it(tmp_path: Path) -> None:
    world = World(tmp_path, steps=5)
    world.scores = {2: (0.5, 0.5), 4: (0.1, 0.1)}
    await world.learner.run()
    found, last = checkpoint.best(tmp_path), checkpoint.newest(tmp_path).checkpoint
    assert found is not None and (found.manifest.step, found.manifest.score) == (2, (0.5, 0.5))
    assert last is not None and last.manifest.score is None


async def test_an_end_that_falls_on_the_cadence_is_saved_once(tmp_path: Path) -> None:
    world = World(tmp_path, steps=4)
    await world.learner.run()
    assert [line for line in world.log if line.startswith("save")] == ["save 2", "save 4"]


async def test_a_checkpoint_names_its_version_and_keeps_the_tolerance(tmp_path: Path) -> None:
    await World(tmp_path, steps=3, ranks=2).learner.run()
    found = checkpoint.newest(tmp_path).checkpoint
    assert found is not None
    manifest = found.manifest
    assert (manifest.step, manifest.policy_version, manifest.ranks) == (3, 3, 2)
    assert set(manifest.files) == {"rank-0.pt", "rank-1.pt"} and manifest.state == {"loaded_gap": 0.03}


async def test_stop_finishes_the_step_in_hand_and_checkpoints_it(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9)
    world.on_step = world.learner.stop
    await world.learner.run()
    assert world.learner.version == 1 and world.checkpoints() == ["step-00001"]


async def test_a_closed_buffer_ends_the_loop_with_a_checkpoint(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9, batches=3)
    await world.learner.run()
    assert world.learner.version == 3 and world.checkpoints() == ["step-00002", "step-00003"]


async def test_stop_before_the_first_step_leaves_no_checkpoint(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9, batches=0)
    await world.learner.run()
    assert world.log == [] and world.checkpoints() == []


async def test_a_resumed_loop_goes_on_after_its_version_and_saves_only_new_ones(tmp_path: Path) -> None:
    world = World(tmp_path, steps=5, version=4)
    await world.learner.run()
    assert world.log[1:4] == ["step 5", "publish 5", "release 5"] and world.checkpoints() == ["step-00005"]


async def test_ranks_share_a_batch_without_overlap(tmp_path: Path) -> None:
    world = World(tmp_path, steps=1, ranks=2)
    await world.learner.run()
    assert [rank.seen for rank in world.ranks] == [["task-2"], ["task-3"]]


async def test_a_quarantined_engine_does_not_stop_the_learner_and_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, steps=2)
    world.channel.failures = {"engines-1": "pause: no answer within 300 s"}
    await world.learner.run()
    assert [step.sync.failures for step in world.steps] == [world.channel.failures] * 2
    assert len(world.steps[0].groups) == 2


async def test_a_failed_publish_releases_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, steps=2)
    world.channel.error = RuntimeError("weight sync 1: transfer")
    with pytest.raises(RuntimeError, match="weight sync 1"):
        await world.learner.run()
    assert world.log == ["take", "step 1"] and world.learner.version == 0 and world.checkpoints() == []


async def test_the_seconds_of_a_step_cover_waiting_training_and_publishing(tmp_path: Path) -> None:
    world = World(tmp_path, steps=1)
    await world.learner.run()
    (step,) = world.steps
    assert step.wait_seconds >= 0 and step.wait_seconds + step.step_seconds <= step.seconds


async def test_stopping_while_waiting_for_a_batch_needs_only_the_buffer_to_close(tmp_path: Path) -> None:
    world = World(tmp_path, steps=9, batches=1)
    closed = asyncio.Event()

    async def take_batch() -> tuple[Group, ...]:
        await closed.wait()
        raise Closed

    world.buffer.take_batch = take_batch  # type: ignore[method-assign]
    running = asyncio.ensure_future(world.learner.run())
    await settle()
    world.learner.stop()
    closed.set()
    await running
    assert world.learner.version == 0
