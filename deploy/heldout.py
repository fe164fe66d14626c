"""The held-out curve of a run: every few steps the same held-out notes, asked beside the rollouts, one line a point."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec

from common.config import RunSpec
from envs.env import Environment
from evals.evaluator import EvalPoint, Evaluator, HeldoutEnvironment


class HeldoutCurve:
    """`stepped` after each version, `finish` or `close` at the end. `pool` is the Doctor's, set when there are engines.

    One evaluation at a time: a version that comes while another is being evaluated is passed over.
    """

    def __init__(self, env: Environment, spec: RunSpec, path: Path, note: Callable[[str], None]) -> None:
        self._env, self._spec, self._path, self._note = env, spec, path, note
        self._evaluator: Evaluator | None = None
        self._running: asyncio.Task[None] | None = None
        self._newest = max((point.policy_version for point in points(path)), default=-1)  # version evaluated last
        self.pool: Any = None

    def stepped(self, version: int) -> None:
        """Begin an evaluation in the background when one is due at `version`."""
        every = self._spec.evaluation.every
        due = every and version % every == 0 and version > self._newest
        if due and (self._running is None or self._running.done()):
            self._collect()
            self._running = asyncio.create_task(self._evaluate(version))

    async def finish(self, version: int) -> None:
        """Wait for what is running, and evaluate the last version."""
        if not self._spec.evaluation.every:
            return
        if self._running is not None:
            await self._running
        if self._newest != version:
            await self._evaluate(version)

    def close(self) -> None:
        """Give up what is running."""
        if self._running is not None:
            self._running.cancel()

    def _collect(self) -> None:
        if self._running is not None:
            self._running.result()  # raises what went wrong in the background

    async def _evaluate(self, version: int) -> None:
        if self._evaluator is None:
            env = cast(HeldoutEnvironment, self._env)
            self._evaluator = Evaluator(env, self.pool, self._spec.sampling, self._spec.evaluation.tasks)
        point = await self._evaluator.run(version)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(point) + b"\n")
        self._newest = version
        self._note(line(point))


def line(point: EvalPoint) -> str:
    """One evaluation for people."""
    flag, pairs = point.flag_accuracy, point.pair_accuracy
    return (
        f"held-out, policy_version {point.policy_version}: flag accuracy {flag.value:.2f} "
        f"[{flag.lower:.2f}, {flag.upper:.2f}], both twins "
        f"{'-' if pairs.value is None else format(pairs.value, '.2f')}, {point.notes} notes in {point.seconds:.0f} s"
    )


def points(path: Path) -> list[EvalPoint]:
    """The curve so far; empty where there is none."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return [msgspec.json.decode(text, type=EvalPoint) for text in lines if text.endswith(b"}")]
