"""What a run keeps, shows and counts of each step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from common.buffer_records import Reference, StoredGroup
from common.metrics import Board
from common.records import Group
from deploy.job.run_folder import RunFolder
from deploy.monitoring.step_metrics import count, count_heldout, judge
from deploy.report import logp_drift
from deploy.report.as_shown import AsShown
from deploy.report.clock import Clock
from deploy.report.terminal import Screen, step_line
from envs.contract.env import Environment
from envs.contract.reports import Readings
from evals.core.evaluator import EvalPoint
from learner.learner import LearnerStep

LOG = logging.getLogger(__name__)

Fetch = Callable[[Sequence[Reference]], list[Group]]
"""Gets the groups from where they are stored. Blocks."""


class StepRecord:
    """`taken` when a batch was taken for a step, `stepped` once that step was published. `notify` tells people."""

    def __init__(
        self,
        env: Environment,
        folder: RunFolder,
        board: Board,
        screen: Screen,
        clock: Clock,
        fetch: Fetch,
        notify: Callable[[str], None],
    ) -> None:
        self._folder, self._board, self._screen, self._clock = folder, board, screen, clock
        self._fetch, self._notify = fetch, notify
        self._said = AsShown(env)
        self._readings: Readings = {}  # of the batch that was taken last

    async def taken(self, step: int, batch: Sequence[StoredGroup]) -> None:
        """Write the rollouts of the batch in a thread, while the ranks train on it."""
        await asyncio.to_thread(self._write_rollouts, step, [group.reference for group in batch])

    def _write_rollouts(self, step: int, references: Sequence[Reference]) -> None:
        groups = self._fetch(references)
        self._readings = self._said.readings(groups)
        self._folder.write_rollouts(step, groups, self._said.shown, self._readings, self._said.prompt)

    def stepped(self, step: LearnerStep) -> None:
        """Log the step, show it, warn of what is wrong with it, count it."""
        row = self._folder.log(step, self._readings)
        self._clock.keep(self._folder.path)
        self._screen.row(row)
        LOG.info(step_line(row, self._folder.spec.steps, self._folder.reports))
        for warning in self._warnings(step):
            self._notify(warning)
        count(self._board, step, row)

    def evaluated(self, point: EvalPoint) -> None:
        """Count a point of the held-out curve."""
        self._folder.evaluated(point)
        count_heldout(self._board, self._folder.reports, point)

    def _warnings(self, step: LearnerStep) -> list[str]:
        spec, rows = self._folder.spec, self._folder.rows
        drift = logp_drift.warning(rows, spec.model.concrete_dtype, spec.weights.canary_factor)
        syncs = (step.sync, *(step.scribe.syncs if step.scribe else ()))
        quarantined = [
            f"engine {engine} quarantined: {line}" for sync in syncs for engine, line in sync.failures.items()
        ]
        return [
            *([drift] if drift else ()),
            *judge(self._board, self._folder.reports, rows),
            *quarantined,
            *step.faults,
        ]
