"""The synchronous loop with its real buffer, journal, checkpoints, Scribe, Doctor and learner loop, over a policy of
one number: killed anywhere and resumed, it trains the same tasks in the same order to the same losses.

Here an engine's replies are a function of prompt and policy, so that it may be killed at any turn of the event loop.
The same with real engines, killed once: test_resumed_run.py.
"""

from __future__ import annotations

import asyncio
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.doctor import Doctor
from actors.replay_buffer import ReplayBuffer
from actors.scribe import Scribe
from common.config import BufferSpec, FilterSpec, LearnerSpec, SamplingSpec
from common.records import Completion, Group, Message, Sampled
from common.weights import SyncOutcome
from deploy.job.start import after_newest
from learner.learner import Hooks, Learner, LearnerStep
from learner.rank_calls import AdaptiveDeadline
from learner.step_report import StepReport
from simulator.fakes import Handle, settle
from tests.actors.fake_env import FakeEnv
from tests.learner.learner_world import report_of

STEPS, BATCH, EVERY = 6, 2, 2
DEATHS = [0]
"""Of drivers and buffers, in all tests here."""
Step = tuple[int, tuple[str, ...], float]  # step, its tasks in order, its loss


class Policy:
    """The rank, the engines that hold its weight, and the channel between them."""

    def __init__(self, version: int) -> None:
        self.weight, self.version, self.loaded_gap = 1.0, version, 0.0
        self.groups: tuple[Group, ...] = ()

    def load(self, folder: Path) -> None:
        self.weight = float((folder / "weight").read_text())

    def save(self, folder: Path) -> None:
        (folder / "weight").write_text(repr(self.weight))

    def accumulate(self, *groups: Group) -> None:
        self.groups = groups

    def apply(self) -> StepReport:
        rewards = [rollout.reward.total for group in self.groups for rollout in group.rollouts]
        loss = sum(reward * 1.1**place for place, reward in enumerate(rewards)) * self.weight
        self.weight += 0.01 * loss
        report = report_of(self.version + 1, len(self.groups))
        return type(report)(**{**{f: getattr(report, f) for f in report.__struct_fields__}, "loss": loss})

    async def generate(self, role: str, messages: tuple[Message, ...], n: int, *_: Any) -> Sampled:
        await asyncio.sleep(0)
        reply = "x" * (1 + zlib.crc32(f"{messages[0].content} {self.weight!r}".encode()) % 9)
        one = Completion(
            text=reply, token_ids=(1,), logps=(-1.0,), versions=(self.version,), finish_reason="stop", engine="e"
        )
        return Sampled(prompt_ids=(1,), completions=(one,) * n)

    async def begin_change(self) -> None:
        return

    async def publish(self, version: int) -> SyncOutcome:
        await asyncio.sleep(0)
        self.version = version
        return SyncOutcome(version=version, seconds=0, pause_seconds=0, canary_gap=0, proved=("e",), failures={})

    async def fresh_rollouts(self) -> tuple[Sampled, ...]:
        return ()


class Process:
    """All that dies with a driver; the folder is what stays."""

    def __init__(self, folder: Path, log: list[Step], resumed: bool) -> None:
        start = after_newest(folder)
        log[:] = [step for step in log if step[0] <= start.version]
        self.folder, self.log, self.policy = folder, log, Policy(start.version)
        if start.folder is not None:
            self.policy.load(start.folder)
        self.tasks: list[asyncio.Future[Any]] = []
        self.buffer = self._buffer(start.version if resumed else None)
        channel: Any = self.policy
        self.learner = Learner(
            LearnerSpec(batch_groups=BATCH, checkpoint_every=EVERY, keep_checkpoints=1),
            STEPS,
            folder,
            buffer=self.buffer,
            ranks=[Handle(self.policy)],
            channel=channel,
            deadlines=AdaptiveDeadline(120.0),
            hooks=Hooks(
                step=self._stepped, phase=lambda _: None, checkpointed=lambda _: None, new_buffer=self.new_buffer
            ),
        )

    def _buffer(self, trained_steps: int | None) -> Handle:
        journal = self.folder / "journal.jsonl"
        spec = BufferSpec(max_lag=0, capacity=5)
        return Handle(ReplayBuffer(spec, BATCH, FilterSpec(), journal, trained_steps))

    async def new_buffer(self, version: int) -> Handle:
        self.buffer.actor._tasks.close()
        self.buffer = self._buffer(version)
        self._start_roles()
        return self.buffer

    def _start_roles(self) -> None:
        env, pool, sampling = FakeEnv(), Handle(self.policy), SamplingSpec(group_size=2)
        name = f"{len(self.tasks)}"
        roles = (Scribe(name, env, self.buffer, pool, 1), Doctor(name, env, self.buffer, pool, sampling, 1))
        self.tasks += [asyncio.ensure_future(role.run()) for role in roles]

    def _stepped(self, step: LearnerStep) -> None:
        self.log.append((step.report.step, tuple(group.task_id for group in step.groups), step.report.loss))

    async def live(self, moments: int | None, buffer_dies_at: int | None = None) -> bool:
        """Until the last step, or so many turns of the event loop; then it is as if killed. Whether someone was."""
        self._start_roles()
        learning = asyncio.ensure_future(self.learner.run())
        turn, dead = 0, False
        while not learning.done() and turn != moments:
            if turn == buffer_dies_at:
                self.buffer.kill()
                dead = True
            turn += 1
            await asyncio.sleep(0)
        dead |= not learning.done()
        if learning.done():
            learning.result()
        for task in (learning, *self.tasks):
            task.cancel()
        await asyncio.gather(learning, *self.tasks, return_exceptions=True)
        await self.buffer.actor.close()
        await settle()
        self.buffer.actor._tasks.close()
        return dead


async def run(folder: Path, lives: list[int], buffer_dies_at: int | None = None) -> list[Step]:
    """The steps of a run that is killed after each of `lives`, and then let be."""
    log: list[Step] = []
    for number, moments in enumerate((*lives, None)):
        DEATHS[0] += await Process(folder, log, resumed=number > 0).live(moments, None if number else buffer_dies_at)
    return log


async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


def steps_of(lives: list[int], buffer_dies_at: int | None = None) -> list[Step]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", at_once)  # a thread would outlive the process that is killed here
        return asyncio.run(run(Path(folder), lives, buffer_dies_at))


@cache
def undisturbed() -> list[Step]:
    return steps_of([])


def test_a_run_left_alone_trains_the_plan_in_order() -> None:
    tasks = [task for _, batch, _ in undisturbed() for task in batch]
    assert tasks == [f"task-{index}" for index in range(STEPS * BATCH)]
    assert len({loss for _, _, loss in undisturbed()}) == STEPS


def deaths_of(test: Callable[[], None]) -> int:
    """How often somebody died in the examples of a test: one that is killed after its end is not."""
    before = DEATHS[0]
    test()
    return DEATHS[0] - before


def test_a_run_killed_anywhere_and_resumed_trains_the_same_tasks_to_the_same_losses() -> None:
    @settings(deadline=None, max_examples=60)
    @given(lives=st.lists(st.integers(1, 400), min_size=1, max_size=3))
    def killed(lives: list[int]) -> None:
        assert steps_of(lives) == undisturbed()

    assert deaths_of(killed) > 20


def test_a_run_whose_buffer_dies_anywhere_trains_the_same_tasks_to_the_same_losses() -> None:
    @settings(deadline=None, max_examples=40)
    @given(turn=st.integers(0, 400))
    def killed(turn: int) -> None:
        assert steps_of([], buffer_dies_at=turn) == undisturbed()

    assert deaths_of(killed) > 10
