"""The held-out curve of a run: the same held-out tasks every few steps, during rollouts, one line per point, and a file
with the replies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from actors.handles import PoolHandle
from common.config import RunSpec
from common.files import append_line
from common.records import Group
from deploy.report.as_shown import AsShown
from deploy.report.rollout_log import write_heldout
from envs.contract.adaptive import adapt
from envs.contract.env import Environment
from evals.core.curve import line, points
from evals.core.evaluator import EvalPoint, Evaluator

Hold = Callable[[], AbstractAsyncContextManager[int]]
"""A context in which the engines keep the policy_version that it yields."""
Unclaimed = Callable[[], Awaitable[int | None]]
"""A slot of the plan that no Scribe has claimed, nor will for a moment; None where nobody can say."""


def _for_nobody(point: EvalPoint) -> None:
    """Nobody else waits for the points."""


class HeldoutCurve:
    """`attach` when there are engines, `stepped` after each version, `finish` or `close` at the end.

    Rollouts continue during an evaluation; only the next version's weights wait for it.
    """

    def __init__(
        self,
        env: Environment,
        spec: RunSpec,
        path: Path,
        tell: Callable[[str], None],
        unclaimed: Unclaimed,
        evaluated: Callable[[EvalPoint], None] = _for_nobody,
    ) -> None:
        self._evaluated = evaluated
        self._env, self._spec, self._path, self._tell, self._unclaimed = env, spec, path, tell, unclaimed
        self._evaluator: Evaluator | None = None
        self._hold: Hold | None = None
        self._running: asyncio.Task[None] | None = None
        self._newest = max((point.policy_version for point in points(path).found), default=-1)  # version evaluated last

    def attach(self, pools: Mapping[str, PoolHandle], hold: Hold) -> None:
        """`pools` by the role that they serve, and how to keep the version that the Doctor's holds."""
        self._evaluator = Evaluator(self._env, pools, self._spec.sampling, self._spec.evaluation.tasks)
        self._hold = hold

    def stepped(self, version: int) -> None:
        """Begin an evaluation in the background when one is due at `version`."""
        every = self._spec.evaluation.every
        if every and version % every == 0 and version > self._newest:
            self._collect()
            self._running = asyncio.create_task(self._evaluate())

    async def finish(self, version: int) -> None:
        """Wait for what is running, and evaluate the last version."""
        if not self._spec.evaluation.every:
            return
        if self._running is not None:
            await self._running
        if self._newest != version:
            await self._evaluate()

    def close(self) -> None:
        """Cancel a running evaluation."""
        if self._running is not None:
            self._running.cancel()

    def _collect(self) -> None:
        if self._running is not None:  # and over: no version comes while another is held
            self._running.result()  # raises what went wrong in the background

    async def _evaluate(self) -> None:
        assert self._evaluator is not None and self._hold is not None
        async with self._hold() as version:
            point = await self._evaluator.run(version)
        await asyncio.to_thread(self._write, version, self._evaluator.replies)
        append_line(self._path, msgspec.json.encode(point))
        self._newest = version
        self._evaluated(point)
        self._tell(line(point, self._env.reports))
        await self._adapt(point)

    def _write(self, version: int, replies: list[Group]) -> None:
        said = AsShown(self._env)
        write_heldout(self._path.parent, version, replies, said.shown, said.readings(replies), said.prompt)

    async def _adapt(self, point: EvalPoint) -> None:
        slot = await self._unclaimed()
        if slot is not None:
            for env_id in adapt(self._env, slot, point.measures):
                self._tell(f"the game {env_id} changes its tasks from slot {slot} on, by the held-out measures")
