"""The composition root: `python -m deploy.selfplay deploy/laptop.yaml`. Builds the actors, connects and runs the loops.

         claim             put_task              lease              put_group              take_batch
    +---- Scribe ---------------------> ReplayBuffer <---------------- Doctor     +----------- Learner loop
    |       |                          ready  leased                     |        |               | step
    |       | reword a sentence        rolled batched                    | n      |               v
    |       v                          trained rejected                  v replies|         LearnerRank 0..R
    |   EnginePool ("scribe")                                    EnginePool ("doctor")            |
    |       +---------------> Engine 0..E (vLLM) <---------------------+                          |
    |                            ^   pause, load, resume, prove                                   |
    |                            +------------------- Channel <--------- publish(version) --------+
    |                                                    |
    +--- waits for room in the buffer                    +--> release(version): slots free, the bound moves

    loop        consumes            produces              waits for                          is unblocked by
    Scribe      plan indices        labelled tasks        room: capacity                     release, rejections
    Doctor      ready tasks         groups of n rollouts  a task, and the staleness bound    put_task, release
    Learner     batch_groups groups policy_version + 1    a batch that keeps max_lag         put_group
      Scribe's  paid tries          a Scribe version + 1  nothing (learner/scribe.py)        its turn, if it is trained
    Channel     a version           engines that hold it  in-flight decode steps, proofs     the learner's step
    Supervisor  heartbeats          metrics, new actors   a second                           time, deaths

Staleness: running + ready <= (max_lag + version + 1) * batch_groups - consumed (actors/replay_buffer.py has the proof).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from actors.supervisor import Supervisor
from common import metrics
from common.config import RunSpec
from common.metrics import Board
from common.weights import SyncOutcome
from deploy import agreement, cli, exam, flag_alarm
from deploy.console import Screen, summarise
from deploy.heldout import HeldoutCurve
from deploy.placement import Placement
from deploy.prepare import Prepared
from deploy.run_folder import RunFolder
from deploy.scoreboard import count, serve
from deploy.start import Start, plan, starting_point
from envs import registry
from envs.env import Environment
from evals.batch import rolling_score
from learner.channel import Channel
from learner.learner import Learner, LearnerStep
from learner.scribe import ScribeLearner, ScribeSide
from learner.senders import sweep_run

HARD_STOP = 130  # exit code of a second Ctrl-C


class Run:
    """One self-play run, from a checked spec to its summary."""

    def __init__(self, spec: RunSpec, env: Environment, folder: RunFolder, start: Start, board: Board) -> None:
        self.spec, self._env, self.folder, self._start, self._board = spec, env, folder, start, board
        self._placement = Placement(spec, env)
        self._screen = Screen(f"self-play {spec.name}", spec.steps)
        self._learner: Learner | None = None
        self._supervisor: Supervisor | None = None
        self._curve = HeldoutCurve(env, spec, folder.evaluations, self._screen.note)
        self._interrupted = False
        self._closing: asyncio.Future[Any] | None = None

    async def go(self) -> bool:
        """Run to the end or to an interrupt; whether all steps were made."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupt)
        with self._screen:
            prepared = await self._prepare()
            self._placement.model_folder = prepared.model_folder
            self._open_folder()
            ranks = self._placement.learner_ranks()
            try:
                await self._play(ranks, prepared)
            finally:
                await self._stop(ranks)
        return self._learner is not None and self._learner.version >= self.spec.steps

    async def _prepare(self) -> Prepared:
        actor = self._placement.preparation()
        running = asyncio.ensure_future(_result(actor.run))
        while not running.done():
            state = await actor.progress.remote()
            count = f"{state.done}/{state.total}" if state.total else ""
            loss = f", loss {state.loss:.2f}" if state.loss is not None else ""
            self._screen.phase(state.phase, count + loss)
            await asyncio.wait([running], timeout=1)
        self._placement.kill(actor)
        prepared: Prepared = running.result()
        self._screen.note(f"warm-up {prepared.warm_up}")
        return prepared

    def _open_folder(self) -> None:
        if self._start.folder is None:
            self.folder.create()
        else:
            self.folder.resume(self._start.version)

    async def _play(self, ranks: list[Any], prepared: Prepared) -> None:
        buffer = self._placement.replay_buffer(self.folder.journal, self._start.version if self._start.folder else None)
        pools = self._placement.engine_pools()
        synced = self._placement.synced_pools
        channel = Channel(self.spec.weights, ranks, synced, prepared.probe, self._start.loaded_gap)
        if self._start.folder is not None:
            await asyncio.gather(*(rank.load.remote(self._start.folder) for rank in ranks))
            channel.version = self._start.version
        scribe = await self._scribe_channel(ranks, prepared) if self.spec.scribe.train else None
        self._learner = Learner(
            self.spec.learner,
            self.spec.steps,
            self.folder.path,
            buffer,
            ranks,
            channel,
            self._stepped,
            self._phase,
            lambda: rolling_score(self.folder.rows),
            None if scribe is None else ScribeLearner(self.spec.scribe.phase_steps, _sides(ranks), scribe),
        )

        async def join(pool: Any, engine: str, handle: Any, version: int) -> SyncOutcome:
            follows = scribe if scribe is not None and pool in self._placement.scribe_pools else channel
            return await follows.join(pool, engine, handle, version)

        self._supervisor = Supervisor(self.spec, self._placement, pools, buffer, join, self._board, self._screen.note)
        await self._supervisor.start(self._phase, self._examine)
        doctors = next(pools[pool.name] for pool in self.spec.pools if "doctor" in pool.serves)
        self._curve.attach(doctors, channel.hold)
        self._curve.stepped(channel.version)
        learning = asyncio.ensure_future(self._learner.run())
        watching = asyncio.ensure_future(self._supervisor.watch())
        await _while(watching, learning)
        await buffer.close.remote()
        if self._learner.version >= self.spec.steps:
            await _while(watching, asyncio.ensure_future(self._conclude(ranks)))
        watching.cancel()

    async def _scribe_channel(self, ranks: list[Any], prepared: Prepared) -> Channel:
        start, sides = self._start, _sides(ranks)
        pools = self._placement.scribe_pools
        channel = Channel(self.spec.weights, sides, pools, prepared.probe, start.scribe_loaded_gap)
        if start.folder is not None and start.scribe_version is not None:
            await asyncio.gather(*(side.load.remote(start.folder) for side in sides))
            channel.version = start.scribe_version
        return channel

    async def _conclude(self, ranks: list[Any]) -> None:
        self._phase("evaluating")
        await self._curve.finish(self.spec.steps)
        self._phase("saving the model")
        await asyncio.gather(*(rank.save_model.remote(self.folder.model) for rank in ranks))

    async def _examine(self) -> None:
        for frozen in self._placement.frozen_pools:  # one, or none without tier C
            self._phase("examining the verifier")
            if await exam.sit(self._env, frozen, self.spec, self.folder.path, self._screen.note):
                self._placement.verifier = frozen

    async def _stop(self, ranks: list[Any]) -> None:
        self._phase("stopping")
        self._curve.close()
        if self._supervisor is not None:
            await self._supervisor.stop()
        await asyncio.gather(*(_result(rank.close) for rank in ranks), return_exceptions=True)
        for rank in ranks:
            self._placement.kill(rank)
        sweep_run(self.spec.name)

    def _interrupt(self) -> None:
        if self._interrupted or self._learner is None:
            os._exit(HARD_STOP)
        self._interrupted = True
        self._screen.note("stopping after this step (Ctrl-C again: at once)")
        self._learner.stop()
        self._closing = asyncio.ensure_future(_result(self._placement.buffer.close))

    def _phase(self, name: str) -> None:
        self._screen.phase(name)
        self._board.set(metrics.PHASE, float(name == "training"), "learner")

    def _stepped(self, step: LearnerStep) -> None:
        """A step was published: log it, show it, count it."""
        assert self._supervisor is not None
        self._supervisor.progressed()
        row = self.folder.log(step)
        self._screen.row(row)
        rows = self.folder.rows
        for warning in (agreement.warning(rows, self.spec.weights.canary_factor), flag_alarm.warning(rows)):
            if warning:
                self._screen.note(warning)
        self._board.set(metrics.FLAG_ALARM, float(flag_alarm.is_on(rows)))
        for sync in (step.sync, *(step.scribe.syncs if step.scribe else ())):
            for engine, failure in sync.failures.items():
                self._screen.note(f"engine {engine} quarantined: {failure}")
        count(self._board, step, row)
        self._curve.stepped(step.report.policy_version)


async def _while(watching: asyncio.Future[Any], work: asyncio.Future[None]) -> None:
    """Await `work` while the supervisor mends what dies under it; raises what either could not go on from."""
    await asyncio.wait([work, watching], return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        work.cancel()
        watching.result()
    work.result()


def _sides(ranks: list[Any]) -> list[ScribeSide]:
    return [ScribeSide(rank) for rank in ranks]


async def _result(method: Any) -> Any:
    return await method.remote()


def connect() -> None:
    """Join the running Ray cluster (`ray start`, or the job's), or start one in this process.

    Raises ValueError when the cluster that was named does not answer.
    """
    try:
        ray.init(
            include_dashboard=False,
            log_to_driver=os.environ.get(cli.ACTOR_LOGS) == "1",
            logging_level="ERROR",
            runtime_env={"env_vars": {"PYTHONPATH": str(Path.cwd())}},
        )
    except ConnectionError as error:
        address = os.environ.get("RAY_ADDRESS", "the running cluster")
        raise ValueError(f"Ray at {address} does not answer: start it, or unset RAY_ADDRESS to run without") from error


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns the exit code: 0 done, 1 failed, 2 bad input."""
    command = cli.parse(sys.argv[1:] if arguments is None else arguments)
    try:
        folder, start = starting_point(command.spec, command.resume)
        env = registry.make(command.spec.env, command.spec.data, command.spec.seed, folder.spec.scoring)
        if command.dry_run:
            print(f"{plan(folder.spec, folder.path)}# data            {env.notice}")
            return 0
        print(f"data: {env.notice}")
        board = Board()
        serve(board, command.spec)
        if folder.spec.name != command.spec.name:
            print(f"run {command.spec.name} exists: this one is {folder.spec.name} (or go on with --resume)")
        return play(folder, start, env, board)
    except ValueError as error:
        cli.fail(str(error))


def play(folder: RunFolder, start: Start, env: Environment, board: Board) -> int:
    """Run, then draw, write and summarise, whatever happened. Raises ValueError for bad input found on the way."""
    connect()
    run = Run(folder.spec, env, folder, start, board)
    resume = f"go on with: {cli.PROGRAM} {folder.path / 'spec.yaml'} --resume"
    finished = False
    try:
        finished = asyncio.run(run.go())
        return 0
    except RayTaskError as error:
        if isinstance(error.cause, ValueError):
            raise ValueError(str(error.cause)) from None
        print(f"selfplay: an actor failed: {str(error)[-2000:]}", file=sys.stderr)
        return 1
    except (RuntimeError, RayError) as error:
        print(f"selfplay: {error}", file=sys.stderr)
        return 1
    finally:
        rows = folder.finish()
        if rows:
            summarise(folder.path, rows, finished, resume)
        ray.shutdown()


if __name__ == "__main__":
    sys.exit(main())
