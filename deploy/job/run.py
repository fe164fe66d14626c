"""Run: one self-play run, from a prepared model to its last step. deploy/selfplay.py has the drawing of its loops.

Actors that die are replaced (actors/supervisor.py). The death of one that cannot be replaced alone, such as a learner
rank, ends the attempt: the run restarts from its newest checkpoint, in this process, as `--resume` would in another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from ray.exceptions import ObjectLostError, RayActorError

from actors.handles import BufferHandle
from actors.restarts import RestartBudget
from actors.supervisor import Supervisor
from common import logs, metrics
from common.config import PoolSpec, RunSpec
from common.errors import ActorLost
from common.metrics import Board
from common.shared_memory import sweep_run
from deploy.cluster.placement import Placement
from deploy.job import ranks as rank_group
from deploy.job import verifier_exam
from deploy.job.heldout_curve import HeldoutCurve
from deploy.job.preparing import prepared
from deploy.job.resize import LiveResize
from deploy.job.run_folder import RunFolder
from deploy.job.start import Start, after_newest
from deploy.job.step_record import StepRecord
from deploy.job.stop_requests import StopRequests
from deploy.job.waiting import both, lost_by, result, under
from deploy.report.clock import Clock
from deploy.report.terminal import Screen
from envs.contract import reports
from envs.contract.env import Environment
from learner.bounds import BOUNDS
from learner.channel import Channel
from learner.handles import PoolHandle, RankHandle, SenderHandle
from learner.learner import Hooks, Learner, LearnerStep
from learner.preparation import Prepared
from learner.rank_calls import AdaptiveDeadline
from learner.scribe_learner import ScribeLearner

LOG = logging.getLogger(__name__)


class Run:
    """One self-play run, from a checked spec to its summary."""

    def __init__(self, spec: RunSpec, env: Environment, folder: RunFolder, start: Start, board: Board) -> None:
        self.spec, self._env, self.folder, self._start, self._board = spec, env, folder, start, board
        self.clock = Clock()
        self._screen = Screen(f"self-play {spec.name}", spec.steps, folder.reports, self.clock.enter)
        self._placement = Placement(spec, env, self._notify)
        self._placement.journal, self._placement.logs = folder.journal, folder.logs
        self._record = StepRecord(
            env, folder, board, self._screen, self.clock, lambda batch: self._placement.fetched(batch), self._notify
        )
        self._restarts = RestartBudget(self._notify)
        self._deadlines = AdaptiveDeadline(spec.rollout.silence_seconds)
        self._changes = LiveResize(folder, self._resize, self._version, self._notify)
        self._learner: Learner | None = None
        self._supervisor: Supervisor | None = None
        self._curve: HeldoutCurve | None = None
        self._stops = StopRequests(folder, self._notify, self._wind_down)
        self._closing: asyncio.Future[None] | None = None

    @property
    def _buffer(self) -> BufferHandle:
        assert self._placement.buffer is not None, "asked once the learner runs"
        return self._placement.buffer

    def _version(self) -> int:
        assert self._learner is not None, "asked once the learner runs"
        return self._learner.version

    async def go(self) -> bool:
        """Run to the end or to an interrupt; whether all steps were made."""
        self._stops.catch_signals()
        origin = logs.Origin(run=self.spec.name, actor="driver", folder=self.folder.logs)
        with self._screen, logs.kept(origin):
            made = await prepared(self._placement, self._screen)
            self._notify(f"warm-up {made.warm_up}")
            self._placement.model_folder = made.model_folder
            self._placement.verifier_folder = made.verifier_folder
            if not self._start.resumed:
                self.folder.create()
            self.folder.logs.mkdir(exist_ok=True)
            listening = asyncio.ensure_future(self._stops.listen())
            while not await self._attempt(made):
                if self.folder.journal.is_file():  # else the attempt ended before there was a buffer
                    self._start = after_newest(self.folder.path)
            listening.cancel()
        return self._learner is not None and self._learner.version >= self.spec.steps

    async def _attempt(self, made: Prepared) -> bool:
        """Run to the end or an interrupt; False when the run must restart from the newest checkpoint.

        Raises BudgetSpent when that happened too often.
        """
        if self._start.resumed:
            sweep_run(self.spec.name)
        ranks = self._placement.learner_ranks()
        try:
            await self._play(ranks, made)
            return True
        except (ActorLost, RayActorError, ObjectLostError) as error:
            if self._stops.came:
                raise
            lost = error if isinstance(error, ActorLost) else lost_by(error)
            logs_of = {"learner": "rank-*", "pool": "pool-*"}.get(lost.kind, lost.kind)
            await self._restarts.consume(f"{lost}; starting over from the newest checkpoint", "run", logs_of)
            self._board.add(metrics.ACTOR_RESTARTS.name, 1, lost.kind)
            return False
        finally:
            await self._stop(ranks)

    async def _play(self, ranks: list[RankHandle], made: Prepared) -> None:
        start, self._learner, self._stops.heeded = self._start, None, True
        pools = self._placement.engine_pools()
        channel = self._channel(ranks, self._placement.synced_pools, made, start.loaded_gap, start.version)
        scribe = self._scribe_channel(ranks, made) if self.spec.scribe.train else None

        def door(pool: PoolSpec) -> Channel:
            return scribe if scribe is not None and "scribe" in pool.serves else channel

        self._supervisor = Supervisor(self.spec, self._placement, pools, door, self._board, self._restarts, ranks)
        self._phase("starting engines")
        await both(self._load(ranks), self._supervisor.start_engines())
        # Not before: the buffer writes the journal, and a resume that cannot load its checkpoint must change nothing.
        buffer = self._placement.replay_buffer(start.version if start.resumed else None)
        self._learner = self._new_learner(buffer, ranks, channel, scribe, self._supervisor)
        if self._stops.came:  # before there was this learner
            self._learner.stop()
        await self._supervisor.start(buffer, self._examine)
        self._curve = HeldoutCurve(
            self._env, self.spec, self.folder.evaluations, self._notify, self._unclaimed, self._record.evaluated
        )
        self._curve.attach(self.spec.by_role(pools), channel.hold)
        self._curve.stepped(channel.version)
        watching = asyncio.ensure_future(self._supervisor.watch(self._changes.poll))
        try:
            await self._learn(watching, self._learner)
            if self._learner.version >= self.spec.steps:
                await under(watching, self._conclude(ranks))
        finally:
            watching.cancel()

    def _new_learner(
        self,
        buffer: BufferHandle,
        ranks: list[RankHandle],
        channel: Channel,
        scribe: Channel | None,
        supervisor: Supervisor,
    ) -> Learner:
        phase_steps = self.spec.scribe.phase_steps
        return Learner(
            self.spec.learner,
            self.spec.steps,
            self.folder.path,
            buffer=buffer,
            ranks=ranks,
            channel=channel,
            deadlines=self._deadlines,
            hooks=Hooks(
                step=self._stepped,
                phase=self._phase,
                checkpointed=self._checkpointed,
                new_buffer=supervisor.new_buffer,
                score=lambda: reports.score(self.folder.reports, self.folder.rows),
                batch=self._record.taken,
            ),
            scribe=None
            if scribe is None
            else ScribeLearner(phase_steps, rank_group.sides(ranks), scribe, self._deadlines),
        )

    def _scribe_channel(self, ranks: list[RankHandle], made: Prepared) -> Channel:
        start, pools = self._start, self._placement.scribe_pools
        return self._channel(rank_group.sides(ranks), pools, made, start.scribe_loaded_gap, start.scribe_version or 0)

    def _channel(
        self,
        ranks: Sequence[SenderHandle],
        pools: Sequence[PoolHandle],
        made: Prepared,
        gap: float | None,
        version: int,
    ) -> Channel:
        bounds = BOUNDS[self.spec.model.concrete_dtype]
        return Channel(self.spec.weights, ranks, pools, made.probe, bounds, gap, version)

    async def _load(self, ranks: list[RankHandle]) -> None:
        """Bring the ranks to the checkpoint where the run goes on, and only then its folder and the screen."""
        await rank_group.load(ranks, self._start, self.spec.scribe.train, self._deadlines)
        for line in self._start.lines:
            self._notify(line)
        if self._start.resumed:
            for line in self.folder.resume(self._start.version):
                self._damaged(line)
            self.folder.record(self.spec, self.folder.file)

    async def _learn(self, watching: asyncio.Future[None], learner: Learner) -> None:
        """Train to the end, an interrupt, or a fault that the supervisor cannot repair; all leave a checkpoint."""
        learning = asyncio.ensure_future(learner.run())
        await asyncio.wait([learning, watching], return_when=asyncio.FIRST_COMPLETED)
        if not learning.done():
            learner.stop()
        if watching.done() and self._curve is not None:
            self._curve.close()  # it may wait for engines that nobody replaces any more, and the learner for it
        with suppress(RayActorError):  # nobody is left to wait in a dead buffer
            await self._buffer.close.remote()
        await asyncio.wait([learning])
        if watching.done():
            learning.exception()
            watching.result()
        learning.result()

    async def _conclude(self, ranks: list[RankHandle]) -> None:
        self._phase("evaluating")
        assert self._curve is not None
        await self._curve.finish(self.spec.steps)
        self._phase("saving the model")
        await self._deadlines.of_ranks(
            "it saved the model", [rank.save_model.remote(self.folder.model) for rank in ranks]
        )

    async def _unclaimed(self) -> int | None:
        """See `heldout_curve.Unclaimed`: no more claims than the buffer has room for come while a game adapts."""
        try:
            stats = await self._buffer.stats.remote()
        except RayActorError:  # the supervisor makes another, and the next point of the curve asks it
            return None
        return int(stats["given"]) + 2 * self.spec.buffer.capacity

    async def _examine(self) -> None:
        for frozen in self._placement.frozen_pools:  # one, or none without tier C
            self._phase("examining the verifier")
            if await verifier_exam.run_exam(self._env, frozen, self.spec, self.folder.path, self._notify):
                self._placement.verifier = frozen

    async def _stop(self, ranks: list[RankHandle]) -> None:
        self._phase("stopping")
        if self._curve is not None:
            self._curve.close()
        if self._supervisor is not None:
            await self._supervisor.stop()
        self._curve = self._supervisor = None  # another attempt may end before it has its own
        await rank_group.close(ranks)
        for handle in (*ranks, *self._placement.pools.values()):
            self._placement.kill(handle)
        if self._placement.buffer is not None:
            self._placement.kill(self._placement.buffer)
        sweep_run(self.spec.name)

    def _resize(self, spec: RunSpec) -> None:
        """Follow a spec with other numbers of Scribes, Doctors and engines, in this attempt and in later ones."""
        assert self._supervisor is not None
        self.spec = spec
        self._supervisor.resize(spec)

    def _wind_down(self) -> None:
        if self._learner is not None:
            self._learner.stop()
            self._closing = asyncio.ensure_future(result(self._buffer.close))

    def _notify(self, text: str) -> None:
        """Show a message and write it into the log."""
        LOG.info(text)
        self._screen.notify(text)

    def _damaged(self, text: str) -> None:
        """A file of the run is damaged in part, and the run goes on without that part."""
        self._board.add(metrics.DAMAGED.name)
        self._notify(text)

    def _phase(self, name: str) -> None:
        LOG.debug(name)
        self._screen.phase(name)
        self._board.set(metrics.PHASE, float(name == "training"), "learner")

    def _checkpointed(self, fault: str) -> None:
        """A checkpoint was written, or could not be."""
        self._board.add(metrics.CHECKPOINTS.name, 1, "failed" if fault else "ok")
        if fault:
            self._notify(fault)

    def _stepped(self, step: LearnerStep) -> None:
        assert self._curve is not None
        self._restarts.progressed(step.report.step)
        self._record.stepped(step)
        self._curve.stepped(step.report.policy_version)
