"""The composition root: `medserl selfplay laptop`. Builds the actors, connects and runs the loops.

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
      Scribe's  paid tries          a Scribe version + 1  nothing (scribe_learner.py)        its turn, if it is trained
    Channel     a version           engines that hold it  in-flight decode steps, proofs     the learner's step
    Supervisor  heartbeats, sizes   metrics, new actors   a second                           time, deaths, medserl apply

deploy/job/run.py runs them, and restarts from the newest checkpoint after the death of an actor that cannot be
replaced alone.

Staleness: running + ready <= (max_lag + version + 1) * batch_groups - consumed (actors/replay_buffer.py has the proof).
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import ray
from ray._private import ray_constants
from ray.exceptions import RayError, RayTaskError

from common.command_line import fail
from common.errors import last_line, os_refusal
from common.metrics import Board
from deploy import cli, commands, program
from deploy.cluster.dtype import foreseen, settled
from deploy.cluster.ray_address import running_cluster
from deploy.cluster.shipping import modules_to_ship
from deploy.job import run_state
from deploy.job.passable import check_passable
from deploy.job.run import Run
from deploy.job.run_folder import RunFolder
from deploy.job.run_state import RunState
from deploy.job.start import Start, going_on, starting_point
from deploy.monitoring.step_metrics import serve
from deploy.plan import plan
from deploy.report import machine, run_log
from deploy.report.outlook import announcement
from deploy.report.run_log import RunLog
from deploy.report.terminal import summarise
from envs.contract import registry
from envs.contract.env import Environment

DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""Errors of a disk that is full, over quota, failing, or read-only."""

_NOT_UP_IN_TIME = ("timed out during startup", "may not have started successfully")
"""Messages of Ray 2.60 when its raylet or GCS starts too slowly: its agents get fifteen seconds to import Python."""


def connect(modules: Sequence[str] = ()) -> None:
    """Join the running Ray cluster (`ray start`, or the job's), or start one that only this machine reaches.

    `modules` are files and folders of games from outside this project, which Ray copies to every machine. Raises
    ValueError when the cluster that was named does not answer, or the machine is too busy to start one.
    """
    cluster = running_cluster()
    if cluster is None:
        # Ray's own switch, the default on a Mac: every port is bound to 127.0.0.1. Otherwise anyone on the network
        # could run code in this cluster.
        ray_constants.ENABLE_RAY_CLUSTER = False
        # Ray would start a worker for each core at once, of which a run, whose actors have environments of their own,
        # uses none.
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    try:
        ray.init(
            address="local" if cluster is None else None,
            include_dashboard=False,
            log_to_driver=os.environ.get(cli.ACTOR_LOGS) == "1",
            logging_level="ERROR",
            runtime_env={
                "env_vars": {"PYTHONPATH": os.pathsep.join(dict.fromkeys((str(program.TREE), str(Path.cwd()))))},
                **({"py_modules": list(modules)} if modules else {}),
            },
        )
    except ConnectionError as error:
        address = os.environ.get("RAY_ADDRESS", "the running cluster")
        raise ValueError(f"Ray at {address} does not answer: start it, or unset RAY_ADDRESS to run without") from error
    except Exception as error:  # Ray raises no narrower error when its processes start too slowly
        if not any(words in str(error) for words in _NOT_UP_IN_TIME):
            raise
        raise ValueError(
            f"Ray did not start ({last_line(error)}); try again when this machine has less to do"
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m deploy.selfplay`."""
    return run(commands.parse("selfplay", "python -m deploy.selfplay", arguments))


def run(command: cli.Command) -> int:
    """The command. Returns the exit code: 0 done, 1 failed, 2 bad input."""
    with RunLog() as log:
        return _run(command, log)


def _run(command: cli.Command, log: RunLog) -> int:
    try:
        mine = command.is_record
        folder, start = starting_point(
            command.spec, command.resume, None if mine else command.file, command.path.parent if mine else None
        )
        env = registry.environment_of(folder.spec.envs, folder.spec.seed)
        limits = check_passable(folder.spec, env)
        if command.dry_run:
            planned, dtype = foreseen(folder.spec)
            own = "".join(f"# replies         {limit}\n" for limit in limits)
            print(f"{plan(planned, folder.path)}{own}# data            {env.notice}\n# {dtype}")
            return 0
        print("\n".join([f"data: {env.notice}", *(f"replies: {limit}" for limit in limits)]))
        if not start.resumed:
            folder.claim()
            log.into(folder.path)
        try:
            board = Board()
            folder.serves(serve(board, command.spec, folder.spec.name, folder.job))
            if folder.spec.name != command.spec.name:
                old = f"run {command.spec.name} exists: this one is {folder.spec.name}"
                print(f"{old} (--resume continues the old one)")
            print(announcement(folder.spec, folder.path, start.version + 1))
            return play(folder, start, env, board, log)
        except ValueError:
            folder.abandon()  # of any other failure its log is kept
            raise
    except ValueError as error:
        fail("selfplay", str(error))


def play(folder: RunFolder, start: Start, env: Environment, board: Board, log: RunLog) -> int:
    """Run, then write plot, page and summary, whatever happened. Raises ValueError for bad input found on the way."""
    if start.resumed:
        folder.lock()
        log.into(folder.path)
        start = going_on(folder)  # another process may have gone on with it meanwhile
    connect(modules_to_ship(folder.spec.envs))
    spec, dtype = settled(folder.spec)
    folder.use(spec)
    machine.keep(folder.path, machine.here({one.path: one.sha256 for one in folder.inputs.values()}))
    if dtype:
        print(dtype)
    run = Run(folder.spec, env, folder, start, board)
    resume = f"to continue: {program.typed('selfplay', folder.path / 'spec.yaml', '--resume')}"
    state, why = RunState.FAILED, ""
    try:
        state = RunState.FINISHED if asyncio.run(run.go()) else RunState.STOPPED
        return 0
    except (RuntimeError, RayError, OSError) as error:
        why = ending(error)
        cause = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(cause, ValueError):
            raise ValueError(str(cause)) from None
        print(f"selfplay: {why}", file=sys.stderr)
        logs = f" and {folder.logs}/" if folder.logs.is_dir() else ""  # made when the run begins
        print(f"selfplay: what led to it is in {folder.path / run_log.FILE}{logs}", file=sys.stderr)
        return 1
    finally:
        try:
            if folder.journal.is_file():
                run.clock.enter("drawing")
                run_state.record(folder.path, state, why)
                rows = folder.finish()
                done = state is RunState.FINISHED
                summarise(folder.path, rows, folder.reports, done, resume, run.clock.keep(folder.path))
        except OSError as error:
            print(f"selfplay: cannot write the plot and the page: {error}", file=sys.stderr)
        ray.shutdown()


def ending(error: Exception) -> str:
    """Why a run failed, in one line; for a fault in this program, the end of its traceback."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, OSError) and cause.errno:
        return f"{os_refusal(cause)}; then resume"
    if isinstance(cause, OSError):  # TimeoutError and Ray's GetTimeoutError are OSErrors too
        return f"{type(cause).__name__}: {last_line(cause)}"
    return f"an actor failed: {str(error)[-2000:]}" if isinstance(error, RayTaskError) else str(error)


if __name__ == "__main__":
    sys.exit(main())
