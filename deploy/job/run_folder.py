"""What a run leaves in `runs/<name>/`: spec, journal, metrics.jsonl, rollouts, checkpoints, model, logs, plot and page;
and the files by which a running run is changed (deploy/job/resize.py)."""

from __future__ import annotations

import fcntl
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec
import yaml

from common.config import RunSpec
from common.errors import os_refusal
from common.files import append_line, json_line, read_bytes, write_whole
from common.records import Group, Record
from deploy import program
from deploy.job import inputs, run_state
from deploy.job.metrics_row import metrics_row
from deploy.report import machine, rollout_log, rollout_tables, run_log
from deploy.report.sinks import Sink
from deploy.report.steps import FILE, Row, read_steps
from envs.contract.reports import ALL_READ, Readings, reports_of
from evals.core import curve
from evals.core.evaluator import EvalPoint
from learner import checkpoint

if TYPE_CHECKING:  # it imports torch, for which `medserl status` would wait
    from learner.learner import LearnerStep

BEFORE_IT_BEGAN = {"lock", run_state.JOB, machine.FILE, run_log.FILE}
"""Files that a process leaves before its run begins."""


class Applied(Record):
    """applied.json: the spec in effect, and what the user's file said when it last counted, without flags.

    `id` is the run's, from its beginning on; runs of an older version have none.
    """

    spec: dict[str, Any]
    file: dict[str, Any]
    id: str = ""


class RunFolder:
    """One run's folder. Nothing is on disk before `create`. `spec` is in effect; `file` is the user's alone."""

    def __init__(self, spec: RunSpec, path: Path, file: RunSpec | None = None) -> None:
        self.spec, self.path, self.file = spec, path, file or spec
        self.job = uuid.uuid4().hex[:12]  # this process, among all that ever run this or another run
        self._rows: list[Row] = []
        self._lock: TextIO
        self._claimed = False
        self._id = uuid.uuid4().hex[:8]  # this run, among all of its name
        self._port = 0  # of this process's metrics; 0 before they are served
        self._sink = Sink(spec)
        self.inputs: inputs.Inputs = {}  # the data files as they are now
        self.reports = reports_of(spec)

    def use(self, spec: RunSpec) -> None:
        """Use another spec than at creation; nothing is written."""
        self.spec, self._sink = spec, Sink(spec)

    @property
    def journal(self) -> Path:
        """The replay buffer's journal."""
        return self.path / "journal.jsonl"

    @property
    def logs(self) -> Path:
        """A file per actor (common/logs.py)."""
        return self.path / "logs"

    @property
    def evaluations(self) -> Path:
        """One line for each point of the held-out curve."""
        return self.path / curve.FILE

    @property
    def model(self) -> Path:
        """The final policy in Hugging Face form."""
        return self.path / "model"

    @property
    def change(self) -> Path:
        """Change requested by another process."""
        return self.path / "change.json"

    @property
    def answer(self) -> Path:
        """Answer to the last requested change."""
        return self.path / "changed.json"

    @property
    def _stop(self) -> Path:
        return self.path / "stop"

    def claim(self) -> None:
        """A new run: make its folder and lock it. A name that was taken meanwhile gets the next number.

        Before anything that takes long. Raises ValueError, one line, when the folder cannot be made.
        """
        wanted = self.path.name
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while not _made(self.path):
                name = new_name(self.path.parent, wanted)
                self.path = self.path.with_name(name)
                self.use(self.spec.model_copy(update={"name": name}))
            self._claimed = True
            self.lock()
        except OSError as error:
            raise ValueError(f"runs: {os_refusal(error)}") from None

    def abandon(self) -> None:
        """Remove a folder that was claimed for nothing: the run never began."""
        if self._claimed and {path.name for path in self.path.iterdir()} <= BEFORE_IT_BEGAN:
            shutil.rmtree(self.path)
            self._claimed = False

    def create(self) -> None:
        """The run begins: write the resolved spec."""
        if not self._claimed:
            self.claim()
        self.record(self.spec, self.file)
        inputs.write(self.path, self.inputs)
        self._sink.open(self._id, self.path)

    def record(self, spec: RunSpec, file: RunSpec) -> None:
        """From now on `spec` is in effect, and so it is after a `--resume`; `file` is what the user's file says."""
        content = spec.model_dump(mode="json")
        applied = Applied(spec=content, file=file.model_dump(mode="json"), id=self._id)
        write_whole(self.path / "applied.json", msgspec.json.encode(applied))
        write_whole(self.path / "spec.yaml", yaml.safe_dump(content, sort_keys=False).encode())
        self.spec, self.file = spec, file

    def applied(self) -> tuple[RunSpec, RunSpec] | None:
        """Spec in effect and file, as they were recorded last; None when they never were. This is that run from now on.

        Raises ValueError, one line, when the record is damaged.
        """
        path = self.path / "applied.json"
        if not path.is_file():
            return None
        try:
            found = msgspec.json.decode(read_bytes(path), type=Applied)
            self._id = found.id or self._id
            return RunSpec.model_validate(found.spec), RunSpec.model_validate(found.file)
        except (ValueError, RecursionError) as error:
            what = " ".join(str(error).split())
            raise ValueError(f"{path}: is damaged ({what:.200}); remove it, and spec.yaml beside it counts") from None

    def lock(self) -> None:
        """Lock the folder until this process ends, however it ends.

        Raises ValueError, one line, when another holds the lock, or this user may not write there.
        """
        try:
            self._lock = (self.path / "lock").open("a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sign()
            self.asked_to_stop()  # of a run that ended before it looked
            for left in (self.change, self.answer):  # to a process that is gone
                left.unlink(missing_ok=True)
        except BlockingIOError:
            raise ValueError(
                f"{self.path}: another process is running it; stop that one first: {program.typed('stop', self.path)}"
            ) from None
        except OSError as error:
            raise ValueError(os_refusal(error)) from None

    def serves(self, port: int) -> None:
        """The metrics of this process are at `port`, where `medserl status` finds them whatever the spec says."""
        self._port = port
        if self._claimed:
            self._sign()

    def _sign(self) -> None:
        write_whole(self.path / run_state.JOB, f"{self.job} {self._port}".encode())

    def ask_to_stop(self) -> None:
        """Request the running run to stop. By a file, not a signal: its process may be in another container."""
        self._stop.touch()

    def asked_to_stop(self) -> bool:
        """Whether `ask_to_stop` was called since the last call."""
        try:
            self._stop.unlink()
        except FileNotFoundError:
            return False
        return True

    def resume(self, version: int) -> list[str]:
        """Go on after `version` steps: what was logged of later steps is dropped, since they are trained again.

        Returns a line about each damaged line of the logs, which is dropped too.
        """
        run_state.forget(self.path)
        inputs.write(self.path, self.inputs)
        self._sink.open(self._id, self.path)
        checkpoint.set_aside(self.path, version)
        metrics = self.path / FILE
        # A line that a crash tore is of a later step: a checkpoint follows its step's line.
        steps, points = read_steps(self.path), curve.points(self.evaluations)
        self._rows = [row for row in steps.found if row["step"] <= version]
        write_whole(metrics, b"".join(json_line(row) + b"\n" for row in self._rows))
        if self.evaluations.exists():
            kept = [point for point in points.found if point.policy_version <= version]
            write_whole(self.evaluations, b"".join(msgspec.json.encode(point) + b"\n" for point in kept))
        rollout_tables.forget_after(self.path, version)
        return [*steps.damaged, *points.damaged]

    def write_rollouts(
        self,
        step: int,
        groups: Sequence[Group],
        shown: rollout_log.Shown = rollout_log.nothing_shown,
        readings: Readings = ALL_READ,
        prompt: rollout_log.Prompt = rollout_log.no_prompt,
    ) -> None:
        """Write what step `step` trains on. It takes long for an event loop: call it in a thread, while ranks train."""
        rollout_log.write_step(self.path, step, step - 1, groups, shown, readings, prompt)
        self._sink.take(step, groups)

    def log(self, step: LearnerStep, readings: Readings = ALL_READ) -> Row:
        """Write the metrics of a step whose rollouts were written; returns its row."""
        rollout_log.publish_step(self.path, step.report.step)
        row = metrics_row(step, self.reports, readings)
        append_line(self.path / FILE, json_line(row))
        self._rows.append(row)
        self._sink.log(row)
        return row

    @property
    def rows(self) -> list[Row]:
        """Every logged step, oldest first."""
        return self._rows

    def evaluated(self, point: EvalPoint) -> None:
        """A point was added to the held-out curve."""
        self._sink.log_point(point)

    def finish(self) -> list[Row]:
        """Draw the plot and write the page; returns all rows."""
        # They bring matplotlib, for which nobody else who opens a run's folder should wait.
        from deploy.report import episodes_page, plot

        self._sink.close()
        if self._rows:
            plot.draw(self.path, self.reports)
            episodes_page.write_page(self.path, self.reports, self.spec.learner)
        return self._rows


def _made(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def new_name(runs: Path, name: str) -> str:
    """`name`, or `name-2`, `name-3` ... when that run exists. Raises OSError where runs may not be listed."""
    taken = {path.name for path in runs.iterdir()} if runs.exists() else set()
    return next(candidate for candidate in (name, *(f"{name}-{k}" for k in range(2, 10_000))) if candidate not in taken)
