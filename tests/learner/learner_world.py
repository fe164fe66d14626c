"""A fake world around the learner, for its tests."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.buffer_records import AuthorBatch, Closed, StoredGroup
from common.config import LearnerSpec
from common.records import Group, Sampled
from common.weights import SyncOutcome
from learner import checkpoint
from learner.learner import Hooks, Learner, LearnerStep
from learner.rank_calls import AdaptiveDeadline
from learner.scribe_learner import ScribeLearner, ScribeSide
from learner.step_report import StepReport
from simulator.fakes import Handle, remote_error
from simulator.rollouts import labelled


def group(index: int) -> Group:
    return Group(labelled=labelled(f"task-{index}"), prompt_ids=(1,), rollouts=(), doctor="d")


def stored(index: int) -> StoredGroup:
    one = group(index)
    return StoredGroup(labelled=one.labelled, rewards=(), stats=(), oldest_version=0, tokens=1, reference=one)


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
        by_turn={},
        seconds={},
    )


def fresh_of(version: int) -> Sampled:
    return Sampled(prompt_ids=(version,), completions=())


class FakeScribe:
    """The Scribe's rank beside a Doctor's."""

    def __init__(self, rank: int, log: list[str]) -> None:
        self.rank, self.log, self.version = rank, log, 0
        self.seen: list[str] = []

    def step(self, *groups: Group) -> StepReport:
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

    def accumulate(self, *groups: Group) -> None:
        self.groups = groups

    def apply(self) -> StepReport:
        self.version += 1
        self.seen += [group.task_id for group in self.groups]
        self.log.append(f"step {self.version}")
        return report_of(self.version, len(self.groups))

    def logp_difference(self, samples: tuple[Sampled, ...]) -> float:
        assert samples == (fresh_of(self.version),), "scored under another version than the one that sampled it"
        return 0.01 * (self.version + 1)

    def scribe_step(self, *groups: Group) -> StepReport:
        return self.scribes.step(*groups)

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

    async def take_batch(self) -> tuple[StoredGroup, ...]:
        if self.given == self.batches:
            raise Closed
        self.given += 1
        self.log.append("take")
        return tuple(stored(self.given * self.batch + k) for k in range(self.batch))

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
            buffer=self.buffer_handle,
            ranks=self.handles,
            channel=channel,
            deadlines=AdaptiveDeadline(120.0),
            hooks=Hooks(
                step=self._stepped,
                phase=self.phases.append,
                checkpointed=self.notes.append,
                new_buffer=self.new_buffer,
                score=lambda: self.scores.get(len(self.steps)),
            ),
            scribe=ScribeLearner(phase_steps, sides, scribe_channel, AdaptiveDeadline(120.0)) if phase_steps else None,
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
